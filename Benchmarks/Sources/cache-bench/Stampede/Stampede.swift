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
    var loads: Int
    var expiries: Int
    var staleAnswers: Int
    /// Microseconds, of every call.
    var p50: Double
    var p99: Double
    var max: Double
    /// Microseconds, of the calls that began while a load was running, and of all others.
    var p99Refreshing: Double
    var p99Steady: Double
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
        // Whoever finds nothing at all has to wait for the first value: that is no expiry, but the cold start.
        let coldEnd = (allLoads.first?[1] ?? 0) / bucketSize
        let running = { (bucket: Int) in
            allLoads.count { $0[0] / bucketSize <= bucket && bucket <= $0[1] / bucketSize }
        }
        var (all, refreshing, steady) = (Self.histogram(), Self.histogram(), Self.histogram())
        timeline = buckets.sorted { $0.key < $1.key }.map { bucket, records in
            let loads = running(bucket)
            var worst = 0
            for (latency, times) in records.flatMap(\.value) {
                let (latency, count) = (UInt64(latency), UInt32(times))
                worst = Swift.max(worst, Int(latency))
                all.record(latency, count: count)
                guard bucket > coldEnd else { continue }
                if loads > 0 {
                    refreshing.record(latency, count: count)
                } else {
                    steady.record(latency, count: count)
                }
            }
            return Moment(at: (bucket - first) * bucketSize / 1000, loads: loads, worst: Double(worst))
        }
        calls = Int(all.totalCount)
        loads = allLoads.count
        expiries = Self.expiries(allLoads, surelyFresh: surelyFresh)
        staleAnswers = records.reduce(0) { $0 + $1.staleAnswers }
        p50 = Double(all.valueAtPercentile(50))
        p99 = Double(all.valueAtPercentile(99))
        max = Double(all.max)
        p99Refreshing = Double(refreshing.valueAtPercentile(99))
        p99Steady = Double(steady.valueAtPercentile(99))
    }

    private static func histogram() -> Histogram<UInt32> {
        Histogram<UInt32>(highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: .two)
    }

    /// Loads that begin before the value of the first one of them has expired are of one expiry.
    private static func expiries(_ loads: [[Int]], surelyFresh: Int) -> Int {
        var count = 0
        var end = Int.min
        for load in loads where load[0] > end {
            count += 1
            end = load[1] + surelyFresh
        }
        return count
    }
}
