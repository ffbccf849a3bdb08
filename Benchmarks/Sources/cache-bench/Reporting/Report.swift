import Foundation

/// What a run came to, as it is written to `latest.json`.
struct Report: Encodable {
    struct Entry: Encodable {
        var name: String
        var subject: String
        var tasks: Int
        var ops_per_second: Double
        var p50_us: Double
        var p99_us: Double
        /// Processor time of the client, in microseconds for each operation.
        var cpu_us: Double
    }

    struct RatioEntry: Encodable {
        var median: Double
        var lowest: Double
        var highest: Double
        var goal: String
        var met: Bool
    }

    var machine: Machine
    var scenarios: [Entry]
    var ratios: [String: RatioEntry]

    init(_ measurements: Measurements, ratios: [Ratio]) {
        machine = Machine()
        scenarios = measurements.scenarios.map { scenario in
            Entry(
                name: scenario.name, subject: scenario.subject.name, tasks: scenario.subject.callers,
                ops_per_second: measurements.operationsPerSecond(scenario.name),
                p50_us: measurements.microseconds(scenario.name, percentile: 50),
                p99_us: measurements.microseconds(scenario.name, percentile: 99),
                cpu_us: measurements.median(of: scenario.name, \.processorMicroseconds))
        }
        self.ratios = Dictionary(
            uniqueKeysWithValues: ratios.map { ratio in
                (
                    ratio.name,
                    RatioEntry(
                        median: ratio.median, lowest: ratio.values.min() ?? .nan, highest: ratio.values.max() ?? .nan,
                        goal: ratio.goal.text, met: ratio.isMet)
                )
            })
    }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let url = URL(fileURLWithPath: path)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try encoder.encode(self).write(to: url)
    }

    /// The same as Markdown.
    var markdown: String {
        var lines = [
            "\(machine.processor), \(machine.cores) cores, \(machine.system)", "",
            "| scenario | operations per second | CPU µs each | p50 µs | p99 µs |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        for entry in scenarios {
            lines.append(
                "| \(entry.name) | \(Int(entry.ops_per_second)) | \(number(entry.cpu_us)) | \(number(entry.p50_us)) "
                    + "| \(number(entry.p99_us)) |")
        }
        lines += ["", "| ratio | median | from | to | goal |", "| --- | ---: | ---: | ---: | --- |"]
        for (name, ratio) in ratios.sorted(by: { $0.key < $1.key }) {
            lines.append(
                "| \(name) | \(number(ratio.median)) | \(number(ratio.lowest)) | \(number(ratio.highest)) "
                    + "| \(ratio.goal)\(ratio.met ? "" : ", missed") |")
        }
        return lines.joined(separator: "\n")
    }

    private func number(_ value: Double) -> String {
        value.formatted(.number.precision(.fractionLength(2)).locale(Locale(identifier: "en_US_POSIX")))
    }
}

/// What was measured on.
struct Machine: Encodable {
    var processor = Machine.readProcessor()
    var cores = ProcessInfo.processInfo.activeProcessorCount
    var memory_bytes = ProcessInfo.processInfo.physicalMemory
    var system = ProcessInfo.processInfo.operatingSystemVersionString

    private static func readProcessor() -> String {
        let lines = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n") ?? []
        let model = lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last
        return model.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown processor"
    }
}
