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
        var cpu_us: Double?
        var loads: Int?
        var allocations: Double?
        var round_trips: Double?
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
    var costs: Costs?
    var stampedes: [StampedeResult]
    /// The order of the ratios.
    private var ratioNames: [String]

    private enum CodingKeys: CodingKey {
        case machine, scenarios, ratios, costs, stampedes
    }

    init(
        _ measurements: Measurements, _ ratios: [Ratio], _ costs: Costs?, _ stampedes: [StampedeResult],
        _ machine: Machine
    ) {
        self.machine = machine
        scenarios = measurements.scenarios.map { scenario in
            let name = scenario.name
            let cpu = measurements.median(of: name, \.processorMicroseconds)
            let roundTrips = measurements.median(of: name, \.roundTripsEach)
            return Entry(
                name: name, subject: scenario.subject.name, tasks: scenario.subject.callers,
                ops_per_second: measurements.operationsPerSecond(name),
                p50_us: measurements.microseconds(name, percentile: 50),
                p99_us: measurements.microseconds(name, percentile: 99), cpu_us: cpu > 0 ? cpu : nil,
                allocations: scenario.subject.name == "in-memory" ? costs?.allocationsPerHit : nil,
                round_trips: roundTrips.isNaN ? nil : roundTrips)
        }
        scenarios += stampedes.map { stampede in
            let seconds = Double(stampede.timeline.last?.at ?? 0) / 1000
            return Entry(
                name: "stampede-\(stampede.name)", subject: "stampede",
                tasks: StampedePlan.clients * StampedePlan.tasks,
                ops_per_second: seconds > 0 ? Double(stampede.calls) / seconds : 0, p50_us: stampede.p50,
                p99_us: stampede.p99, loads: stampede.loads)
        }
        self.costs = costs
        self.stampedes = stampedes
        ratioNames = ratios.map(\.name)
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

    /// Writes `latest.json`, `report.html` and the plot of the README into a folder.
    func write(to folder: URL) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try encoder.encode(self).write(to: folder.appending(path: "latest.json"))
        try Data(html.utf8).write(to: folder.appending(path: "report.html"))
        try Data(throughputPlot.svg.utf8).write(to: folder.appending(path: "throughput.svg"))
    }

    /// The same as Markdown.
    var markdown: String {
        var lines = [
            machine.text, "", "| scenario | operations per second | CPU µs each | p50 µs | p99 µs |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        for entry in scenarios {
            lines.append(
                "| \(entry.name) | \(Int(entry.ops_per_second)) | \(entry.cpu_us.map(number) ?? "") "
                    + "| \(number(entry.p50_us)) | \(number(entry.p99_us)) |")
        }
        lines += ["", "| ratio | median | from | to | goal |", "| --- | ---: | ---: | ---: | --- |"]
        for name in ratioNames {
            guard let ratio = ratios[name] else { continue }
            lines.append(
                "| \(name) | \(number(ratio.median)) | \(number(ratio.lowest)) | \(number(ratio.highest)) "
                    + "| \(ratio.goal)\(ratio.met ? "" : ", missed") |")
        }
        if !facts.isEmpty { lines += [""] + facts.map { "- \($0)" } }
        return lines.joined(separator: "\n")
    }

    /// What was counted, in sentences.
    private var facts: [String] {
        var facts: [String] = []
        if let fill = scenarios.first(where: { $0.subject == "fill" }), let roundTrips = fill.round_trips {
            facts.append("A miss took \(number(roundTrips)) round trips.")
        }
        if let costs {
            facts.append(
                "An in-memory hit allocated \(number(costs.allocationsPerHit)) times; a waiting task took "
                    + "\(costs.bytesPerWaitingTask) bytes of heap, an in-memory value of 100 bytes "
                    + "\(costs.bytesPerCachedItem).")
            let shares = costs.residentShares.sorted { $0.key < $1.key }
                .map { "\(number($0.value)) with values of about \($0.key) bytes" }
            if !shares.isEmpty {
                facts.append(
                    "A full in-memory store took of its capacity, resident: \(shares.joined(separator: ", ")).")
            }
            let decoded = costs.decodedShares.sorted { $0.key < $1.key }
                .map { "\(number($0.value)) with payloads of about \($0.key) bytes" }
            if !decoded.isEmpty {
                facts.append(
                    "Decoded values took of what they may take, in heap: \(decoded.joined(separator: ", ")).")
            }
            if let group = costs.groupInvalidation {
                facts.append(
                    "Invalidating a group took \(number(group.small)) µs with 10 values in it and "
                        + "\(number(group.large)) µs with \(group.largeSize).")
            }
        }
        for stampede in stampedes {
            facts.append(
                "Stampede, \(stampede.name): loads \(stampede.coldStartLoads) at the cold start, then \(stampede.loads) for "
                    + "\(stampede.expiries) expiries; \(stampede.calls) calls, \(stampede.staleAnswers) of them answered stale; p50 "
                    + "\(number(stampede.p50 / 1000)) ms, p99 \(number(stampede.p99 / 1000)) ms, "
                    + "longest \(number(stampede.max / 1000)) ms.")
        }
        return facts
    }

    private func number(_ value: Double) -> String {
        value.formatted(
            .number.precision(.fractionLength(2)).grouping(.never).locale(Locale(identifier: "en_US_POSIX")))
    }
}

/// What was measured on, and how long.
struct Machine: Encodable {
    var rounds: Int
    var seconds: Double
    var processor = Machine.readProcessor()
    var cores = ProcessInfo.processInfo.activeProcessorCount
    var memory_bytes = ProcessInfo.processInfo.physicalMemory
    var system = ProcessInfo.processInfo.operatingSystemVersionString
    var date = Date.now.formatted(.iso8601.year().month().day())
    var command = CommandLine.arguments.dropFirst().joined(separator: " ")

    var text: String {
        "\(processor), \(cores) cores, \(system), \(date); \(rounds) rounds of \(seconds) s; cache-bench \(command)"
    }

    private static func readProcessor() -> String {
        let lines = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n") ?? []
        let model = lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last
        return model.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown processor"
    }
}
