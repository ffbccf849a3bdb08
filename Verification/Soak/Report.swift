import CacheUtils
import Foundation

/// What was seen, and whether it stays the same.
struct Report {
    struct Sample {
        var time: Double
        var resources: Resources
        /// Calls, loads, what waits for servers, and pending invalidations.
        var underWay: Int
    }

    private struct Measure: Sendable {
        var name: String
        /// By how much the end may be above the beginning: a share, and in any case so much.
        var share: Double
        var slack: Double
        var value: @Sendable (Sample) -> Double
    }

    let seconds: Double
    var samples: [Sample] = []
    var calls = 0
    var failures = 0
    let statistics: CacheStatistics

    init(seconds: Double, _ statistics: CacheStatistics) {
        self.seconds = seconds
        self.statistics = statistics
    }

    private static let measures = [
        Measure(name: "resident memory, MB", share: 0.1, slack: 5) { Double($0.resources.residentBytes) / 1e6 },
        Measure(name: "open files", share: 0, slack: 2) { Double($0.resources.openFiles) },
        Measure(name: "threads", share: 0, slack: 2) { Double($0.resources.threads) },
        // How many calls are under way is as many as a fault makes wait; what is left behind would grow all the time.
        Measure(name: "calls and loads under way", share: 0.5, slack: 20) { Double($0.underWay) },
    ]

    /// The medians of the second quarter, when the process has warmed up, and of the last one.
    private func medians(_ measure: Measure) -> (before: Double, after: Double) {
        let values = samples.map(measure.value)
        func median(_ range: Range<Int>) -> Double {
            let sorted = values[range].sorted()
            return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
        }
        return (median(values.count / 4..<values.count / 2), median(values.count * 3 / 4..<values.count))
    }

    private func isFlat(_ measure: Measure) -> Bool {
        let (before, after) = medians(measure)
        return after <= before * (1 + measure.share) + measure.slack
    }

    var isFlat: Bool { samples.count >= 8 && Self.measures.allSatisfy(isFlat) }

    var text: String {
        let rows = Self.measures.map { measure in
            let (before, after) = medians(measure)
            return "| \(measure.name) | \(Self.text(before)) | \(Self.text(after)) | "
                + "\(Self.text(samples.map(measure.value).max() ?? 0)) | \(isFlat(measure) ? "flat" : "GROWS") |"
        }
        let counts = statistics.snapshot
        return """
            \(calls) calls in \(Int(seconds)) s, \(failures) failed; \(counts.hits) hits, \(counts.held) held, \
            \(counts.stale) stale, \(counts.loads) loads, \(counts.storeTroubles) store troubles, \
            \(counts.failedInvalidations) invalidations failed

            | | second quarter | last quarter | most | |
            | --- | --- | --- | --- | --- |
            \(rows.joined(separator: "\n"))
            """
    }

    private static func text(_ number: Double) -> String {
        number == number.rounded() ? "\(Int(number))" : String(format: "%.1f", number)
    }

    var plot: Chart {
        Chart(
            title: "A soak of \(Int(seconds)) seconds: servers killed, stopped and taken from the list in turn",
            panels: Self.measures.map { measure in
                Chart.Panel(name: measure.name, points: samples.map { ($0.time, measure.value($0)) })
            })
    }
}
