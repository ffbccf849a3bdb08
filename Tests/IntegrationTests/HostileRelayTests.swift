import CacheUtils
import Foundation
import Memcached
import MemcachedProcess
import Synchronization
import TestSupport
import Testing

/// Between the client and the server stands something that does to answers what networks, proxies and broken servers do.
@Suite("Behind a hostile relay", .serialized, .timeLimit(.minutes(5)))
struct HostileRelayTests {
    private static let keys = 60

    /// Rows whose versions only grow.
    private final class Rows: Sendable {
        private let versions = Mutex([Int](repeating: 0, count: keys))
        private let invalidated = Mutex([Int](repeating: 0, count: keys))

        func version(_ row: Int) -> Int { versions.withLock { $0[row] } }

        /// The version whose invalidation has returned: what begins from then on gets nothing older.
        func invalidatedVersion(_ row: Int) -> Int { invalidated.withLock { $0[row] } }

        /// Changes a row that nobody else changes, and invalidates it.
        func change(_ row: Int, _ invalidate: () async -> Void) async {
            let version = versions.withLock { versions in
                versions[row] += 1
                return versions[row]
            }
            await invalidate()
            invalidated.withLock { $0[row] = version }
        }
    }

    @Test("no call gets a wrong value or an error, or waits beyond its deadline", arguments: RelayFault.allCases)
    func calls(fault: RelayFault) async throws {
        let server = try MemcachedProcess()
        defer { server.stop() }
        let relay = try Relay(toPort: server.port)
        defer { relay.stop() }
        var configuration = testConfiguration
        configuration.operationTimeout = .seconds(1)
        let store = try MemcachedStore(servers: [relay.address], configuration: configuration)
        let rows = Rows()
        let statistics = CacheStatistics()
        // A lease that its owner cannot recognize any more ends by itself.
        let policy = CachePolicy(leaseFor: .seconds(3))
        let cache = Cache(store: store, namespace: "shop", policy: policy, observer: statistics, troubleLevel: nil)
        let row = cache.cached("row", ttl: .seconds(600), groups: ["rows", "all"]) { (number: Int) in
            "\(number):\(rows.version(number))"
        }
        func check(_ number: Int) async {
            let least = rows.invalidatedVersion(number)
            let began = ContinuousClock.now
            let text = try? await row(number)
            // Its read, its lease and a wait for another's load, each with a second try.
            #expect(ContinuousClock.now - began < .seconds(20))
            let parts = (text ?? "").split(separator: ":").compactMap { Int($0) }
            #expect(
                parts.count == 2 && parts.first == number && parts.last.map { $0 >= least } == true,
                "\(text ?? "an error")")
        }
        for number in 0..<Self.keys { await check(number) }
        await cache.drain()
        relay.set(fault)
        let end = ContinuousClock.now + .seconds(1)
        await withTaskGroup { group in
            for task in 0..<8 {
                group.addTask {
                    var number = task
                    while ContinuousClock.now < end {
                        number = (number + 7) % Self.keys
                        await check(number)
                        // Others have tests to run meanwhile.
                        try? await Task.sleep(for: .milliseconds(2))
                        // What could not be invalidated is pending: this process serves nothing of it.
                        guard number == task else { continue }
                        await rows.change(number) { try? await row.invalidate(number) }
                        await check(number)
                    }
                }
            }
        }
        // No connection is out of step once the relay behaves.
        relay.set(nil)
        try await eventually {
            let hits = statistics.snapshot.hits
            for number in 0..<Self.keys { await check(number) }
            let isComplete = await cache.drain().isComplete
            return isComplete && store.status[0].isAvailable && statistics.snapshot.hits == hits + Self.keys
        }
        await store.shutdown()
    }
}
