// swift-tools-version: 6.2

import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let package = Package(
    name: "swift-cache-utils",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "CacheUtils", targets: ["CacheUtils"]),
        .library(name: "MintCache", targets: ["MintCache"]),
        .library(name: "Memcached", targets: ["Memcached"]),
        // For a server's own tests: a clock by hand, a store that stops and fails on command.
        .library(name: "CacheUtilsTesting", targets: ["CacheUtilsTesting"]),
        // The C API itself, for Benchmarks, which measures what this package adds to it.
        .library(name: "CLibMemcached", targets: ["CLibMemcached"]),
    ],
    traits: [
        .trait(name: "ServiceLifecycle", description: "A cache is a service of swift-service-lifecycle."),
        .trait(
            name: "Tracing", description: "Spans by swift-distributed-tracing: for loads, and for calls to memcached."),
        .trait(name: "Configuration", description: "Stores and caches configured by swift-configuration."),
        .trait(name: "Zstd", description: "Compressed values: `CacheCodec.compressed`, by libzstd."),
        .default(enabledTraits: ["ServiceLifecycle", "Tracing"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.0.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.10.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing.git", from: "1.4.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.11.0"),
        .package(url: "https://github.com/apple/swift-configuration.git", from: "1.0.0", traits: []),
    ],
    targets: [
        .systemLibrary(
            name: "CLibMemcached",
            pkgConfig: "libmemcached",
            providers: [.apt(["libmemcached-dev"]), .brew(["libmemcached"])]
        ),
        .systemLibrary(
            name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
        .target(
            name: "MintCache",
            dependencies: [
                .product(
                    name: "Configuration", package: "swift-configuration", condition: .when(traits: ["Configuration"]))
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Memcached",
            dependencies: [
                "CLibMemcached", "MintCache",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(
                    name: "Tracing", package: "swift-distributed-tracing", condition: .when(traits: ["Tracing"])),
                .product(
                    name: "Configuration", package: "swift-configuration", condition: .when(traits: ["Configuration"])),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "CacheUtils",
            dependencies: [
                "MintCache",
                .target(name: "CZstd", condition: .when(traits: ["Zstd"])),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(
                    name: "Tracing", package: "swift-distributed-tracing", condition: .when(traits: ["Tracing"])),
                .product(
                    name: "ServiceLifecycle", package: "swift-service-lifecycle",
                    condition: .when(traits: ["ServiceLifecycle"])),
                .product(
                    name: "Configuration", package: "swift-configuration", condition: .when(traits: ["Configuration"])),
            ],
            swiftSettings: settings
        ),
        .target(name: "CacheUtilsTesting", dependencies: ["MintCache"], swiftSettings: settings),

        // Built with the package, in one go with the tests, since it has no dependencies of its own.
        .executableTarget(
            name: "CityDemo",
            dependencies: ["CacheUtils", "Memcached", "MemcachedProcess", "MintCache"],
            path: "Examples/CityDemo",
            swiftSettings: settings
        ),

        .executableTarget(
            name: "torture",
            dependencies: ["CacheUtils", "Memcached", "MemcachedProcess", "MintCache"],
            path: "Verification/Torture",
            swiftSettings: settings
        ),
        .executableTarget(name: "public-surface", path: "Verification/PublicSurface", swiftSettings: settings),
        .executableTarget(
            name: "soak",
            dependencies: ["CacheUtils", "Memcached", "MemcachedProcess"],
            path: "Verification/Soak",
            swiftSettings: settings
        ),
        .target(name: "CallCounter", path: "Tests/CallCounter"),
        .target(name: "LockAnnotations", path: "Tests/LockAnnotations"),
        .target(name: "MemcachedProcess", path: "Tests/MemcachedProcess", swiftSettings: settings),
        .target(
            name: "TestSupport",
            dependencies: ["CacheUtilsTesting", "LockAnnotations", "MemcachedProcess", "MintCache"],
            path: "Tests/Support",
            swiftSettings: settings),
        .executableTarget(
            name: "ShieldClient", dependencies: ["CacheUtils", "Memcached", "TestSupport"], path: "Tests/ShieldClient",
            swiftSettings: settings),
        .testTarget(name: "MintCacheTests", dependencies: ["MintCache", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "MemcachedTests", dependencies: ["CLibMemcached", "Memcached", "TestSupport"], swiftSettings: settings
        ),
        .testTarget(
            name: "PropertyTests", dependencies: ["CacheUtils", "Memcached", "MintCache", "TestSupport"],
            exclude: ["Corpus", "FuzzTarget.swift"], swiftSettings: settings),
        .testTarget(name: "CacheUtilsTests", dependencies: ["CacheUtils", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "EcosystemTests",
            dependencies: [
                "CacheUtils", "Memcached", "MemcachedProcess", "TestSupport",
                .product(name: "InMemoryLogging", package: "swift-log"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(
                    name: "InMemoryTracing", package: "swift-distributed-tracing", condition: .when(traits: ["Tracing"])
                ),
                .product(
                    name: "Configuration", package: "swift-configuration", condition: .when(traits: ["Configuration"])),
                .product(
                    name: "ServiceLifecycle", package: "swift-service-lifecycle",
                    condition: .when(traits: ["ServiceLifecycle"])),
                .product(
                    name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle",
                    condition: .when(traits: ["ServiceLifecycle"])),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "CostTests",
            dependencies: ["CacheUtils", "CallCounter", "Memcached", "MemcachedProcess", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "InterleavingTests", dependencies: ["CacheUtils", "MintCache"], swiftSettings: settings
        ),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "CLibMemcached", "CacheUtils", "Memcached", "MemcachedProcess", "ShieldClient", "soak", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(
                    name: "ServiceLifecycle", package: "swift-service-lifecycle",
                    condition: .when(traits: ["ServiceLifecycle"])),
            ],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)

// `scripts/fuzz` looks for bytes for which the properties do not hold. libFuzzer brings the entry point.
if Context.environment["CACHE_UTILS_FUZZING"] != nil {
    package.targets.removeAll { $0.name == "PropertyTests" }
    package.targets.append(
        .executableTarget(
            name: "fuzz", dependencies: ["CacheUtils", "Memcached", "MintCache"], path: "Tests/PropertyTests",
            exclude: ["Corpus", "PropertyTests.swift"], swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])])
    )
}
