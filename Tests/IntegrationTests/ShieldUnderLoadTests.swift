import CacheUtils
import Memcached
import MemcachedProcess
import Synchronization
import TestSupport
import Testing

/// Eight processes' caches with 64 tasks each, whose store is killed, and whose database gets slow, dies and comes back.
@Suite("The load shield, under load,", .timeLimit(.minutes(5)))
struct ShieldUnderLoadTests {
    private static let processes = 8
    private static let tasks = 64
    private static let keys = 200
    private static let most = 4

    /// A database that notes how many loads of each process run at a time.
    private final class Source: Sendable {
        enum Mode { case quick, slow, dead }
        struct Dead: Error {}

        private struct State {
            var mode = Mode.quick
            var running = [Int](repeating: 0, count: ShieldUnderLoadTests.processes)
            var most = 0
            var loads = 0
        }

        private let state = Mutex(State())

        var most: Int { state.withLock(\.most) }
        var loads: Int { state.withLock(\.loads) }

        func set(_ mode: Mode) { state.withLock { $0.mode = mode } }

        func load(_ key: Int, of process: Int) async throws -> Int {
            let mode = state.withLock { state in
                state.loads += 1
                state.running[process] += 1
                state.most = max(state.most, state.running[process])
                return state.mode
            }
            defer { state.withLock { $0.running[process] -= 1 } }
            switch mode {
            case .quick: await Task.yield()
            case .slow: try await Task.sleep(for: .milliseconds(20))
            case .dead: throw Dead()
            }
            return key
        }
    }

    /// What calls came to.
    private final class Tally: Sendable {
        struct Counts {
            var served = 0
            var dead = 0
            var refused = 0
            var others: [String] = []

            var all: Int { served + dead + refused + others.count }
        }

        private let counts = Mutex(Counts())

        var now: Counts { counts.withLock(\.self) }

        func note(_ change: (inout Counts) -> Void) { counts.withLock { change(&$0) } }
    }

    private func call(_ function: CachedFunction<Int, Int>, _ tally: Tally) async {
        let key = Int.random(in: 0..<Self.keys)
        do {
            let value = try await function(key)
            tally.note { if value == key { $0.served += 1 } else { $0.others.append("\(value) for \(key)") } }
        } catch is Source.Dead {
            tally.note { $0.dead += 1 }
        } catch let error as CacheError where error.code == .tooManyLoads {
            tally.note { $0.refused += 1 }
        } catch is CancellationError {
        } catch {
            tally.note { $0.others.append("\(error)") }
        }
    }

    @Test("never has more loads run than may, serves who can be served, and lets no second wave through")
    func outage() async throws {
        let server = try MemcachedProcess()
        defer { server.stop() }
        var configuration = testConfiguration
        configuration.operationTimeout = .seconds(2)
        let stores = try (0..<Self.processes).map { _ in
            try MemcachedStore(servers: [server.address], configuration: configuration)
        }
        let (source, tally) = (Source(), Tally())
        let functions = stores.enumerated().map { process, store in
            Cache(
                store: store, namespace: "shop",
                policy: CachePolicy(maximumLoads: Self.most, maximumWaitingLoads: 2 * Self.tasks)
            ).cached("row", ttl: .seconds(600), groups: ["rows"]) { (key: Int) in
                try await source.load(key, of: process)
            }
        }
        let callers = functions.flatMap { function in
            (0..<Self.tasks).map { _ in
                Task {
                    while !Task.isCancelled {
                        await call(function, tally)
                        // Other tests need the machine, too.
                        try? await Task.sleep(for: .milliseconds(20))
                    }
                }
            }
        }
        /// So many calls more.
        func calls(_ count: Int) async throws -> (before: Tally.Counts, after: Tally.Counts) {
            let before = tally.now
            while tally.now.all < before.all + count { try await Task.sleep(for: .milliseconds(5)) }
            return (before, tally.now)
        }
        _ = try await calls(20_000)
        #expect(source.loads <= Self.keys * Self.processes)

        server.stop()
        let (_, away) = try await calls(5_000)
        source.set(.slow)
        _ = try await calls(2_000)
        source.set(.dead)
        let (died, dead) = try await calls(5_000)
        #expect(dead.dead > died.dead)
        source.set(.slow)
        _ = try await calls(1_000)
        try server.start()
        source.set(.quick)
        // All is cached again, and then nothing is loaded any more.
        let loads = source.loads
        while true {
            let before = source.loads
            _ = try await calls(5_000)
            if source.loads == before { break }
        }
        // While the servers were away for them, those who waited loaded; from then on each key is loaded once.
        #expect(source.loads - loads <= 10 * Self.keys * Self.processes)
        for caller in callers { caller.cancel() }
        for caller in callers { await caller.value }
        #expect(source.most <= Self.most)
        #expect(away.dead == 0 && away.others.isEmpty)
        #expect(tally.now.others.isEmpty, "\(tally.now.others.prefix(3))")
        #expect(tally.now.refused == 0, "there was room for all to wait")
        for store in stores { await store.shutdown() }
    }
}
