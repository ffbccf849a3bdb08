import Foundation
import Histogram

/// Clients in Python, run by scripts in `Benchmarks/peers` on the same keys and values.
struct Peers: Sendable {
    let python: String
    let server: String

    private static let scripts = "Benchmarks/peers"

    /// Each client at several concurrencies: threads for the blocking ones, tasks for the asynchronous one.
    func scenarios() -> [Scenario] {
        let concurrencies: [(client: String, callers: [Int])] = [
            ("pylibmc", [1, 2, 8]), ("pymemcache", [1, 2, 8]), ("dogpile", [1, 2, 8]), ("aiomcache", [1, 8, 16]),
            ("pylibmc-many", [1, 2]), ("dogpile-many", [1, 2]),
        ]
        return concurrencies.flatMap { client, callers in
            callers.map { callers in
                Scenario(
                    name: "peer-\(client)@\(callers)",
                    subject: PeerSubject(peers: self, client: client, callers: callers))
            }
        }
    }

    /// What a round takes besides what it measures: each client at each concurrency is a process that has to start.
    var startingSeconds: Double { 0.35 * Double(scenarios().count) }

    func stampede(expiries: Int) async throws -> [StampedeRecord] {
        let begin = Date.now.timeIntervalSince1970 + 3
        return try await ChildProcess.outputs(
            of: StampedePlan.clients, python,
            [
                "\(Self.scripts)/stampede.py", server, "\(begin)", "\(begin + Double(expiries + 1) * 1.05)",
                "\(StampedePlan.tasks)",
            ], as: StampedeRecord.self)
    }

    fileprivate func hits(_ client: String, callers: Int, seconds: Double) async throws -> PeerSample {
        try await ChildProcess.output(
            of: python, ["\(Self.scripts)/hits.py", client, server, "\(callers)", "\(seconds)"], as: PeerSample.self)
    }
}

/// What a script prints.
private struct PeerSample: Decodable, Sendable {
    var operations: Int
    var seconds: Double
    /// Nanoseconds, of every sixteenth operation.
    var latencies: [UInt64]
}

private struct PeerSubject: Subject {
    let peers: Peers
    let client: String
    let callers: Int

    var name: String { "peer-\(client)" }

    func run(seconds: Double) async throws -> Sample {
        let peer = try await peers.hits(client, callers: callers, seconds: seconds)
        var sample = Sample()
        sample.operations = peer.operations
        sample.seconds = peer.seconds
        for latency in peer.latencies { sample.latencies.record(latency) }
        return sample
    }
}
