import ArgumentParser
import Foundation

@main
struct CacheBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache-bench",
        abstract: "Measures the cache beside the C library that it is built on, in turn, in one run.")

    @Option(help: "The memcached to measure on, host:port or the path of a socket. It is filled with test values.")
    var server: String

    @Option(help: "Seconds for each run of each scenario.")
    var seconds = 2.0

    @Option(help: "How often each scenario runs, in turn with the others.")
    var rounds = 7

    @Option(help: "Connections of the store, and threads of the multi-gets.")
    var connections = 2

    @Option(help: "Where the report goes.")
    var json = ".build/bench/latest.json"

    @Option(help: "Only scenarios with this in their names, and the ceiling, libmemcached-mget.")
    var only: String?

    func validate() throws {
        guard seconds > 0, rounds > 0 else { throw ValidationError("--seconds and --rounds must be positive.") }
    }

    func run() async throws {
        let catalogue = try Catalogue(server: server, connections: connections)
        var scenarios = try await catalogue.prepare()
        if let only { scenarios.removeAll { !$0.name.contains(only) && !$0.name.hasPrefix("libmemcached-mget") } }
        let progress = Progress(total: seconds * Double(rounds * scenarios.count))
        var measurements = Measurements()
        try await measurements.measure(scenarios, rounds: rounds, seconds: seconds, progress: progress)
        progress.clear()
        let names = Set(scenarios.map(\.name))
        let report = Report(
            measurements, ratios: ratios(of: measurements).filter { !$0.values.contains(where: \.isNaN) })
        try report.write(to: json)
        print(report.markdown)
        print("\n\(names.count) scenarios, \(rounds) rounds of \(seconds) s each; the report is in \(json)")
        await catalogue.close()
    }

    private func ratios(of measurements: Measurements) -> [Ratio] {
        let mget = { [connections] (round: Round) in round.operationsPerSecond("libmemcached-mget@\(connections)") }
        let sync = { (round: Round) in
            [1, 2, 8].map { round.operationsPerSecond("libmemcached-sync@\($0)") }.max() ?? .nan
        }
        func rate(_ name: String) -> (Round) -> Double { { $0.operationsPerSecond(name) } }
        return [
            measurements.ratio("store_vs_mget", goal: .atLeast(0.6), rate("store@256"), to: mget),
            measurements.ratio("store_vs_mget_1024", goal: .atLeast(0.7), rate("store@1024"), to: mget),
            measurements.ratio("store_vs_sync", goal: .atLeast(8), rate("store@256"), to: sync),
            measurements.ratio("cached_vs_store", goal: .atLeast(0.8), rate("cached@256"), to: rate("store@256")),
            measurements.ratio(
                "grouped_vs_ungrouped", goal: .atLeast(0.9), rate("cached-1-group@256"), to: rate("cached@256")),
            measurements.ratio(
                "typed_vs_string", goal: .atLeast(0.8), rate("cached-struct@256"), to: rate("cached@256")),
            measurements.ratio(
                "latency_idle", goal: .atMost(1.5), { $0.microseconds("store@1", percentile: 50) },
                to: { $0.microseconds("libmemcached-sync@1", percentile: 50) }),
            measurements.ratio(
                "latency_loaded", goal: .atMost(3), { $0.microseconds("store@256", percentile: 99) },
                to: { 256e6 / $0.operationsPerSecond("store@256") }),
            measurements.ratio(
                "in_memory_hit_us", goal: .atMost(1), { 1e6 / $0.operationsPerSecond("in-memory@1") }, to: { _ in 1 }),
        ]
    }
}
