import ArgumentParser
import Foundation

struct Top: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says which cached functions are read most, and how often that is a hit.",
        discussion: """
            It watches what the servers are asked for some seconds, which costs each of them a little, and leaves out what a \
            server has no time to tell. The hit rate of all is by the servers' own counters.
            """)

    @Option(help: "For how many seconds to watch.")
    var seconds = 5.0

    @Option(help: "How many functions to print at most.")
    var limit = 20

    @OptionGroup var servers: Servers

    private struct Row: Encodable {
        var function: String
        var reads: Int
        var found: Int
    }

    private struct Report: Encodable {
        var seconds: Double
        var gets: Int
        var hits: Int
        var seen: Int
        var functions: [Row]
    }

    func validate() throws {
        guard seconds > 0, seconds <= 3600 else { throw ValidationError("--seconds is \(seconds): give up to 3600.") }
        guard limit > 0 else { throw ValidationError("--limit is \(limit): give 1 or more.") }
    }

    func run() throws {
        var watches: [Connection] = []
        let before = try counters()
        try servers.withConnections { _, connection in
            try connection.send("watch fetchers")
            guard try connection.line() == "OK" else { throw ConnectionError(description: "it cannot be watched") }
            connection.setTimeout(.milliseconds(20))
            watches.append(connection)
        }
        var functions: [String: Row] = [:]
        let (began, progress) = (Date(), Progress(total: Int(seconds.rounded(.up)), unit: "seconds"))
        while case let elapsed = Date().timeIntervalSince(began), elapsed < seconds {
            progress.show(Int(elapsed))
            // Each has its turn, or one that is asked for much would keep it.
            for watch in watches {
                try take(from: watch, into: &functions, until: min(began + seconds, Date() + 0.02))
            }
        }
        progress.end()
        let after = try counters()
        let rows = functions.values.sorted { ($0.reads, $1.function) > ($1.reads, $0.function) }
        let report = Report(
            seconds: seconds, gets: after.gets - before.gets, hits: after.hits - before.hits,
            seen: rows.reduce(0) { $0 + $1.reads }, functions: Array(rows.prefix(limit)))
        if servers.json { return try printJSON(report) }
        print(
            "\(report.gets) keys were read in \(Words.duration(seconds)), of which "
                + "\(Words.percent(report.hits, of: report.gets)) were there; \(report.seen) were watched.")
        guard !report.functions.isEmpty else { return }
        var table = Table(["FUNCTION", "READS", "SHARE", "FOUND"], rightAligned: [1, 2, 3])
        for row in report.functions {
            table.append([
                row.function, "\(row.reads)", Words.percent(row.reads, of: report.seen),
                Words.percent(row.found, of: row.reads),
            ])
        }
        print(table.render())
    }

    private func take(from watch: Connection, into functions: inout [String: Row], until end: Date) throws {
        while Date() < end, let line = try watch.line() {
            var fields: [Substring: Substring] = [:]
            for field in line.split(separator: " ") {
                let parts = field.split(separator: "=", maxSplits: 1)
                if parts.count == 2 { fields[parts[0]] = parts[1] }
            }
            guard fields["type"] == "item_get", let key = fields["key"].flatMap({ String($0).removingPercentEncoding })
            else { continue }
            let name = Self.function(of: key)
            functions[name, default: Row(function: name, reads: 0, found: 0)].reads += 1
            if fields["status"] == "found" { functions[name]?.found += 1 }
        }
    }

    /// What a key is of: a function, groups, or values by key, each with its namespace.
    static func function(of key: String) -> String {
        let parts = key.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2 else { return "other keys" }
        if parts[1].hasPrefix("@") { return "\(parts[0]): groups" }
        guard parts.count == 3 else { return "other keys" }
        guard let end = parts[2].firstIndex(of: "(") else { return "\(parts[0]): values by key" }
        return "\(parts[0]): \(parts[2][..<end])"
    }

    private func counters() throws -> (gets: Int, hits: Int) {
        var sums = (gets: 0, hits: 0)
        try servers.withConnections { _, connection in
            let stats = try connection.stats()
            let hits = stats["get_hits"].flatMap { Int($0) } ?? 0
            sums.hits += hits
            sums.gets += hits + (stats["get_misses"].flatMap { Int($0) } ?? 0)
        }
        return sums
    }
}
