// swift-tools-version: 6.2

import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// A package of its own, so that nobody who caches fetches what a command line needs.
let package = Package(
    name: "cachectl",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "cachectl", targets: ["cachectl"])],
    dependencies: [
        .package(name: "swift-cache-utils", path: "..", traits: []),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.0"),
    ],
    targets: [
        .executableTarget(
            name: "cachectl",
            dependencies: [
                .product(name: "CacheUtils", package: "swift-cache-utils"),
                .product(name: "Memcached", package: "swift-cache-utils"),
                .product(name: "MintCache", package: "swift-cache-utils"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "CachectlTests",
            dependencies: [
                "cachectl",
                .product(name: "CacheUtils", package: "swift-cache-utils"),
                .product(name: "Memcached", package: "swift-cache-utils"),
            ],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
