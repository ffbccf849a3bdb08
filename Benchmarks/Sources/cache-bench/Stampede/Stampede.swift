import Foundation
import Histogram
import MintCache

/// One hot key that expires again and again under eight processes, with protection and without.
struct Stampede {
    let server: String
    let plan: StampedePlan
    let peers: Peers?

    init(server: String, expiries: Int, peers: Peers?) {
        self.server = server
        plan = StampedePlan(expiries: expiries)
        self.peers = peers
    }

    var estimatedSeconds: Double {
        Double(StampedeMode.allCases.count) * (plan.seconds + 3) + (peers == nil ? 0 : Double(plan.expiries) * 1.1 + 5)
    }

    func run(progress: Progress) async throws -> [StampedeResult] {
        var results: [StampedeResult] = []
        for mode in StampedeMode.allCases {
            progress.show("stampede, \(mode.rawValue)")
            let records = try await records(of: mode)
            let surelyFresh = plan.freshMilliseconds * 1000 - 20_000
            results.append(StampedeResult(name: mode.rawValue, records, surelyFresh: surelyFresh))
        }
        if let peers {
            progress.show("stampede, aiocache")
            let records = try await peers.stampede(expiries: plan.expiries)
            // memcached may expire what lives for a second at any moment of it.
            results.append(StampedeResult(name: "peer-aiocache", records, surelyFresh: 20_000))
        }
        return results
    }

    private func records(of mode: StampedeMode) async throws -> [StampedeRecord] {
        let begin = SystemClock().now.microseconds + 1_500_000
        let end = begin + Int64(plan.seconds * 1e6)
        let arguments = [
            "stampede-client", "--server", server, "--mode", mode.rawValue, "--key", "\(begin)", "--begin", "\(begin)",
            "--end", "\(end)", "--fresh", "\(plan.freshMilliseconds)", "--load", "\(plan.loadMilliseconds)",
        ]
        return try await ChildProcess.outputs(
            of: StampedePlan.clients, CommandLine.arguments[0], arguments, as: StampedeRecord.self)
    }
}

/// What came of a stampede.
struct StampedeResult: Encodable, Sendable {
    var name: String
    var calls: Int
    /// Of whoever finds nothing at all, and has to wait for the first value.
    var coldStartLoads: Int
    /// Those after the cold start.
    var loads: Int
    var expiries: Int
    var staleAnswers: Int
    /// Microseconds, of every call.
    var p50: Double
    var p99: Double
    var max: Double
    /// For each expiry after the cold start: the 99th percentile of the calls that began while the value was loaded,
    /// over that of those which began from then on until the next expiry.
    var p99Ratios: [Double]
    /// For each ten milliseconds from the first call on.
    var timeline: [Moment]

    struct Moment: Encodable, Sendable {
        /// Milliseconds since the first call.
        var at: Int
        /// Loads that were running.
        var loads: Int
        /// Microseconds.
        var worst: Double
    }

    var loadsPerExpiry: Double { expiries > 0 ? Double(loads) / Double(expiries) : .nan }

    /// - Parameter surelyFresh: for how many microseconds after a load no other one is needed.
    init(name: String, _ records: [StampedeRecord], surelyFresh: Int) {
        self.name = name
        let allLoads = records.flatMap(\.loads).filter { $0.count == 2 }.sorted { $0[0] < $1[0] }
        let bucketSize = StampedeRecord.bucketMicroseconds
        let buckets = Dictionary(grouping: records.flatMap(\.latencies), by: \.key)
        let first = buckets.keys.min() ?? 0
        var all = Self.histogram()
        timeline = buckets.sorted { $0.key < $1.key }.map { bucket, records in
            var worst = 0
            for (latency, times) in records.flatMap(\.value) {
                worst = Swift.max(worst, latency)
                all.record(UInt64(latency), count: UInt32(times))
            }
            let running = allLoads.count { $0[0] / bucketSize <= bucket && bucket <= $0[1] / bucketSize }
            return Moment(at: (bucket - first) * bucketSize / 1000, loads: running, worst: Double(worst))
        }
        let spans = Self.spans(allLoads, surelyFresh: surelyFresh)
        let refreshes = spans.dropFirst().map { $0.lowerBound / bucketSize...$0.upperBound / bucketSize }
        let ends = refreshes.dropFirst().map(\.lowerBound) + [(buckets.keys.max() ?? 0) + 1]
        p99Ratios = zip(refreshes, ends).compactMap { refresh, end in
            guard refresh.upperBound + 1 < end else { return nil }
            let latencies = { (range: Range<Int>) in
                var part = Self.histogram()
                for (latency, times) in range.flatMap({ buckets[$0] ?? [] }).flatMap(\.value) {
                    part.record(UInt64(latency), count: UInt32(times))
                }
                return part.totalCount > 0 ? Double(part.valueAtPercentile(99)) : nil
            }
            guard let refreshing = latencies(refresh.lowerBound..<refresh.upperBound + 1),
                let steady = latencies(refresh.upperBound + 1..<end), steady > 0
            else { return nil }
            return refreshing / steady
        }
        calls = Int(all.totalCount)
        coldStartLoads = spans.first.map { coldStart in allLoads.count { $0[0] <= coldStart.upperBound } } ?? 0
        loads = allLoads.count - coldStartLoads
        expiries = refreshes.count
        staleAnswers = records.reduce(0) { $0 + $1.staleAnswers }
        p50 = Double(all.valueAtPercentile(50))
        p99 = Double(all.valueAtPercentile(99))
        max = Double(all.max)
    }

    private static func histogram() -> Histogram<UInt32> {
        Histogram<UInt32>(highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: .two)
    }

    /// From when to when each value was loaded. Loads that begin before the value of the first one of them has expired
    /// are of one expiry, or of the cold start.
    private static func spans(_ loads: [[Int]], surelyFresh: Int) -> [ClosedRange<Int>] {
        var spans: [ClosedRange<Int>] = []
        var end = Int.min
        for load in loads {
            if load[0] > end {
                spans.append(load[0]...load[1])
                end = load[1] + surelyFresh
            } else if let last = spans.popLast() {
                spans.append(last.lowerBound...Swift.max(last.upperBound, load[1]))
            }
        }
        return spans
    }
}
