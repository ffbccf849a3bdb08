import ArgumentParser

/// How the clients of a stampede get the value of the hot key.
enum StampedeMode: String, ExpressibleByArgument, Codable, CaseIterable {
    /// Through a cached function.
    case protected
    /// As one does without this package: read; if it is not there or too old, load and store.
    case unprotected
}

/// What is asked of each client.
struct StampedePlan: Sendable {
    static let clients = 8
    static let tasks = 64

    /// How long a value is fresh, and how long its loader takes.
    var freshMilliseconds = 250
    var loadMilliseconds = 50
    var expiries: Int

    /// The cold start and the expiries after it.
    var seconds: Double { Double((expiries + 1) * (freshMilliseconds + loadMilliseconds)) / 1000 }
}

/// What one client, a process of its own, did.
struct StampedeRecord: Codable, Sendable {
    /// Start and end of each load, in microseconds since 1970.
    var loads: [[Int]] = []
    var staleAnswers = 0
    /// For each ten milliseconds since 1970 in which calls began: their latencies in microseconds, and how often.
    var latencies: [Int: [Int: Int]] = [:]

    static let bucketMicroseconds = 10_000
}
