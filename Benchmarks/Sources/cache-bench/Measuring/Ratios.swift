/// The goals, each as a ratio of two things that were measured in one run.
enum Ratios {
    static func all(
        of measurements: Measurements, connections: Int, _ costs: Costs?, _ stampedes: [StampedeResult]
    ) -> [Ratio] {
        let mget = rate("libmemcached-mget@\(connections)")
        let sync = best { $0.hasPrefix("libmemcached-sync@") }
        let limit = { (round: Round) in 1 / (1 / mget(round) + 1 / rate("async-floor@256")(round)) }
        let ratios = [
            measurements.ratio("store_vs_mget", .atLeast(0.6), rate("store@256"), to: mget),
            measurements.ratio("store_vs_mget_1024", .atLeast(0.7), rate("store@1024"), to: mget),
            measurements.ratio("store_vs_floor", .atLeast(1), rate("store@256"), to: limit),
            measurements.ratio("store_vs_sync", .atLeast(8), rate("store@256"), to: sync),
            measurements.ratio("cached_vs_store", .atLeast(0.8), rate("cached@256"), to: rate("store@256")),
            measurements.ratio(
                "grouped_vs_ungrouped", .atLeast(0.9), rate("cached-1-group@256"), to: rate("cached@256")),
            measurements.ratio(
                "fleet_grouped", .atLeast(0.9), rate("fleet-cached-1-group@256"), to: rate("fleet-cached@256")),
            measurements.ratio("typed_vs_string", .atLeast(0.8), rate("cached-struct@256"), to: rate("cached@256")),
            measurements.ratio("many_vs_mget", .atLeast(0.5), rate("cached-many@1"), to: rate("libmemcached-mget@1")),
            measurements.ratio("many_vs_mget_4", .atLeast(0.7), rate("cached-many@4"), to: mget),
            measurements.ratio(
                "many_vs_peers", .atLeast(1), rate("cached-many@4"),
                to: best { $0.hasPrefix("peer-") && $0.contains("-many@") }),
            measurements.ratio(
                "latency_idle", .atMost(1.5), latency("store@1", 50), to: latency("libmemcached-sync@1", 50)),
            measurements.ratio(
                "latency_loaded", .atMost(3), latency("store@256", 99), to: { 256e6 / rate("store@256")($0) }),
            measurements.ratio("in_memory_hit", .atMost(1), { 1e6 / rate("in-memory@1")($0) }, to: { _ in 1 }),
            measurements.ratio(
                "counted_vs_uncounted", .atLeast(0.9), rate("cached-counted@256"), to: rate("cached@256")),
            measurements.ratio(
                "miss_vs_libmemcached", .atLeast(0.5), rate("fill@256"), to: rate("libmemcached-miss@1")),
            measurements.ratio("stall", .atMost(1.2), rate("loader@64"), to: rate("stalled@64")),
            measurements.ratio(
                "peers", .atLeast(10), rate("cached@256"), to: best { $0.hasPrefix("peer-") && !$0.contains("-many@") }),
        ]
        return ratios.filter { !$0.values.contains(where: \.isNaN) } + counted(costs, stampedes)
    }

    private static func counted(_ costs: Costs?, _ stampedes: [StampedeResult]) -> [Ratio] {
        var ratios: [Ratio] = []
        if let costs {
            ratios.append(Ratio(name: "in_memory_allocations", goal: .atMost(4), values: [costs.allocationsPerHit]))
            if let group = costs.groupInvalidation {
                ratios.append(Ratio(name: "group_invalidation", goal: .atMost(2), values: [group.large / group.small]))
            }
        }
        if let stampede = stampedes.first(where: { $0.name == StampedeMode.protected.rawValue }) {
            ratios.append(Ratio(name: "stampede_loads", goal: .atMost(1), values: [stampede.loadsPerExpiry]))
            guard !stampede.p99Ratios.isEmpty else { return ratios }
            ratios.append(Ratio(name: "stampede_p99", goal: .atMost(1.5), values: stampede.p99Ratios))
        }
        return ratios
    }

    private static func rate(_ name: String) -> (Round) -> Double {
        { $0.samples[name]?.operationsPerSecond ?? .nan }
    }

    private static func latency(_ name: String, _ percentile: Double) -> (Round) -> Double {
        { $0.samples[name]?.microseconds(percentile: percentile) ?? .nan }
    }

    /// The rate of the fastest of some scenarios.
    private static func best(_ isOne: @escaping (String) -> Bool) -> (Round) -> Double {
        { round in
            round.samples.filter { isOne($0.key) }.values.map(\.operationsPerSecond).max() ?? .nan
        }
    }
}
