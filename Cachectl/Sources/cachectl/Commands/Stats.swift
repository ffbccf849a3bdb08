import ArgumentParser

struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Says how the servers are.")

    @OptionGroup var servers: Servers

    private struct Row: Encodable {
        var server: String
        var version: String
        var uptimeSeconds: Int
        var items: Int
        var bytes: Int
        var maximumBytes: Int
        var gets: Int
        var hits: Int
        var evictions: Int
        var connections: Int
        var refusedConnections: Int
    }

    func run() throws {
        var rows: [Row] = []
        try servers.withConnections { address, connection in
            let stats = try connection.stats()
            func number(_ name: String) -> Int { stats[name].flatMap { Int($0) } ?? 0 }
            rows.append(
                Row(
                    server: address, version: stats["version"] ?? "?", uptimeSeconds: number("uptime"),
                    items: number("curr_items"), bytes: number("bytes"), maximumBytes: number("limit_maxbytes"),
                    gets: number("get_hits") + number("get_misses"), hits: number("get_hits"),
                    evictions: number("evictions"), connections: number("curr_connections"),
                    refusedConnections: number("rejected_connections")))
        }
        if servers.json { return try printJSON(rows) }
        var table = Table(
            ["SERVER", "VERSION", "UP", "ITEMS", "MEMORY", "HITS", "EVICTED", "CONNECTIONS", "REFUSED"],
            rightAligned: [2, 3, 4, 5, 6, 7, 8])
        for row in rows {
            table.append([
                row.server, row.version, Words.duration(Double(row.uptimeSeconds)), "\(row.items)",
                "\(Words.bytes(row.bytes)) of \(Words.bytes(row.maximumBytes))", Words.percent(row.hits, of: row.gets),
                "\(row.evictions)", "\(row.connections)", "\(row.refusedConnections)",
            ])
        }
        print(table.render())
    }
}
