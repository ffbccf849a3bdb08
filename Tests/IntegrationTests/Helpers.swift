import Foundation

/// Programs of this package that tests start.
enum Helpers {
    /// Where the tests and their helpers were built.
    static var folder: URL {
        #if canImport(Darwin)
        let tests = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") } ?? .main
        return tests.bundleURL.deletingLastPathComponent()
        #else
        return Bundle.main.bundleURL
        #endif
    }
}
