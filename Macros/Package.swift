// swift-tools-version: 6.2

import CompilerPluginSupport
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// A package of its own, so that nobody who does not ask for it fetches or builds swift-syntax.
let package = Package(
    name: "swift-cache-utils-macros",
    platforms: [.macOS(.v15)],
    products: [.library(name: "CacheMacros", targets: ["CacheMacros"])],
    dependencies: [
        .package(name: "swift-cache-utils", path: ".."),
        .package(url: "https://github.com/swiftlang/swift-syntax.git", "602.0.0"..<"604.0.0"),
    ],
    targets: [
        .macro(
            name: "CacheMacrosPlugin",
            dependencies: [
                .product(name: "SwiftDiagnostics", package: "swift-syntax"),
                .product(name: "SwiftParser", package: "swift-syntax"),
                .product(name: "SwiftSyntax", package: "swift-syntax"),
                .product(name: "SwiftSyntaxBuilder", package: "swift-syntax"),
                .product(name: "SwiftSyntaxMacros", package: "swift-syntax"),
                .product(name: "SwiftCompilerPlugin", package: "swift-syntax"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "CacheMacros",
            dependencies: ["CacheMacrosPlugin", .product(name: "CacheUtils", package: "swift-cache-utils")],
            swiftSettings: settings
        ),
        .testTarget(
            name: "CacheMacrosTests",
            dependencies: [
                "CacheMacros", "CacheMacrosPlugin",
                .product(name: "CacheUtilsTesting", package: "swift-cache-utils"),
                .product(name: "SwiftSyntaxMacroExpansion", package: "swift-syntax"),
                .product(name: "SwiftSyntaxMacrosGenericTestSupport", package: "swift-syntax"),
            ],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)
