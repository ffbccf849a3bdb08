import Foundation
import MemcachedProcess

/// Programs of this package that tests start.
enum Helpers {
    /// Starts one, which leaves the processor to the tests beside it when they need it.
    static func start(_ name: String, _ arguments: [String]) throws -> pid_t {
        try ChildProcess.spawn("nice", ["-n", "19", folder.appending(path: name).path] + arguments)
    }

    /// Where the tests and their helpers were built.
    private static var folder: URL {
        #if canImport(Darwin)
        let tests = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") } ?? .main
        return tests.bundleURL.deletingLastPathComponent()
        #else
        return Bundle.main.bundleURL
        #endif
    }
}
