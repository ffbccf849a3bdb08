import CacheUtils
import Foundation
import Memcached
import MemcachedProcess

/// Several hundred tasks look up cities through the cache, phase by phase, and beside it through a cache without
/// protection.
@main
struct Demo {
    static let ttl = Duration.seconds(60)

    private struct Phase: Sendable {
        var name: String
        /// Whether the store is there all the time, so that no city may be loaded twice at once.
        var isCalm = true
        var event: @Sendable (Contestant, Workload) async throws -> Void
    }

    /// A cache with a clock and a store of its own, so that nothing that happens to one reaches the other.
    private struct Contestant: Sendable {
        var name: String
        var cache: any CityCache
        var clock: SkippingClock
        var close: @Sendable () async -> Void
    }

    private let report = Report()
    private let journal: LoadJournal
    private let table: CityTable
    private let names: [String]
    private let workload: Workload
    private let server: MemcachedProcess?
    private let seconds: Double

    static func main() async {
        do {
            let store = ProcessInfo.processInfo.environment["STORE"] ?? "memory"
            guard ["memory", "memcached"].contains(store) else {
                print("STORE is '\(store)': use STORE=memory or STORE=memcached")
                exit(2)
            }
            let broken = try await Demo(onMemcached: store == "memcached").run()
            exit(broken ? 1 : 0)
        } catch {
            print("The demo could not run: \(error)")
            exit(2)
        }
    }

    private init(onMemcached: Bool) throws {
        journal = LoadJournal()
        table = try CityTable(journal: journal)
        names = try table.names()
        workload = Workload(names: names, journal: journal)
        server = onMemcached ? try MemcachedProcess(.tcp, options: ["-m", "64"]) : nil
        seconds = onMemcached ? 1.7 : 2.2
    }

    private var phases: [Phase] {
        let names = names
        var phases = [
            Phase(name: "cold start") { _, _ in },
            Phase(name: "steady state") { _, _ in },
            Phase(name: "everything expires under load") { contestant, _ in
                contestant.clock.skip(Self.ttl + .seconds(1))
            },
            Phase(name: "one city is invalidated") { contestant, workload in
                try await workload.invalidate([names[0]]) { try await contestant.cache.invalidate(names[0]) }
            },
            Phase(name: "all cities are invalidated at once") { contestant, workload in
                try await workload.invalidate(names) { try await contestant.cache.invalidateAll() }
            },
        ]
        if let server {
            phases.append(
                Phase(name: "the server is killed and restarted", isCalm: false) { _, _ in
                    server.stop()
                    try await Task.sleep(for: .milliseconds(100))
                    try server.start()
                }
            )
        }
        return phases
    }

    private func run() async throws -> Bool {
        defer { server?.stop() }
        let storeName = server.map { "memcached at \($0.address)" } ?? "the in-memory store"
        print(
            """
            \(Workload.tasks) tasks look up \(names.count) cities of this system's time-zone table. A lookup scans the \
            table and takes \(Report.milliseconds(CityTable.roundTrip)).
            Its results are cached for \(Self.ttl) in \(storeName).

            """
        )
        let statistics = CacheStatistics()
        let protected = try contestant("with this package") { store, clock in
            ProtectedCache(store: store, clock: clock, observer: statistics, table: table)
        }
        let unprotected = try contestant("without protection") { store, clock in
            UnprotectedCache(store: store, clock: clock, table: table)
        }
        var broken: [String] = []
        report.header()
        for phase in phases {
            let before = statistics.snapshot
            let queries = journal.queries
            _ = journal.takeMostAtOnce()
            let result = try await run(phase, protected)
            let atOnce = journal.takeMostAtOnce()
            let after = statistics.snapshot
            let loads = journal.queries - queries
            let unprotectedQueries = journal.queries
            _ = try await run(phase, unprotected)
            report.row([
                phase.name, "\(result.latencies.count)", "\(after.hits - before.hits)",
                "\(after.stale - before.stale)", "\(loads)", Report.milliseconds(result.percentile(50)),
                Report.milliseconds(result.percentile(99)), "\(journal.queries - unprotectedQueries)",
            ])
            if result.wrong > 0 {
                broken.append("\(phase.name): \(result.wrong) calls got another city than they asked for")
            }
            if result.outdated > 0 { broken.append("\(phase.name): \(result.outdated) calls got an invalidated value") }
            if result.errors > 0 { broken.append("\(phase.name): \(result.errors) calls failed") }
            if phase.isCalm, atOnce > 1 { broken.append("\(phase.name): a city was loaded \(atOnce) times at once") }
        }
        await protected.close()
        await unprotected.close()
        conclude(broken)
        return !broken.isEmpty
    }

    private func run(_ phase: Phase, _ contestant: Contestant) async throws -> Workload.Result {
        let began = ContinuousClock.now
        let duration = Duration.seconds(seconds)
        return try await workload.run(contestant.cache, for: duration) { calls in
            let share = (ContinuousClock.now - began) / duration
            let bar = String(repeating: "#", count: min(20, Int(share * 20)))
            report.progress(
                "\(phase.name), \(contestant.name) [\(bar.padding(toLength: 20, withPad: ".", startingAt: 0))] "
                    + "~\(calls * Workload.tasks) calls"
            )
        } event: {
            try await phase.event(contestant, workload)
        }
    }

    private func conclude(_ broken: [String]) {
        print("")
        guard broken.isEmpty else {
            print("Broken promises:")
            for line in broken { print("- \(line)") }
            return
        }
        print("Kept: every call got its own city; none got a value from before an invalidation that had returned;")
        print("no city was loaded twice at once while the store was there; no call failed.")
    }

    private func contestant(
        _ name: String,
        _ makeCache: (any CacheStore, SkippingClock) -> any CityCache
    ) throws -> Contestant {
        let clock = SkippingClock()
        guard let server else {
            return Contestant(name: name, cache: makeCache(InMemoryStore(), clock), clock: clock, close: {})
        }
        let store = try MemcachedStore(servers: [server.address])
        return Contestant(name: name, cache: makeCache(store, clock), clock: clock) { await store.shutdown() }
    }
}
