// swift-tools-version: 6.2

import PackageDescription

let package = Package(
    name: "cache-bench",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "swift-cache-utils", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.10.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift.git", from: "0.2.0"),
    ],
    targets: [
        // The same files as the tests': a link.
        .target(name: "CallCounter"),
        .executableTarget(
            name: "cache-bench",
            dependencies: [
                "CallCounter",
                .product(name: "CacheUtils", package: "swift-cache-utils"),
                .product(name: "Memcached", package: "swift-cache-utils"),
                .product(name: "CLibMemcached", package: "swift-cache-utils"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: [
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("InternalImportsByDefault"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
