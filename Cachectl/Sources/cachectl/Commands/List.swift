import ArgumentParser
import Foundation

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the keys of a namespace.",
        discussion: "The servers list all their keys for that, which takes them some seconds for each million.")

    @Option(help: "The namespace of a cache.")
    var namespace: String

    @Option(help: "Only keys of this cached function.")
    var function: String?

    @Option(help: "How many keys to print at most.")
    var limit = 1000

    @OptionGroup var servers: Servers

    private struct Row: Encodable {
        var key: String
        var bytes: Int
        var idleSeconds: Int
        var expiresInSeconds: Int?
    }

    func validate() throws {
        guard limit > 0 else { throw ValidationError("--limit is \(limit): give 1 or more.") }
    }

    func run() throws {
        var rows: [Row] = []
        var count = 0
        let now = Int(Date().timeIntervalSince1970)
        try servers.withConnections { _, connection in
            let progress = Progress(total: Int(try connection.stats()["curr_items"] ?? "") ?? 0, unit: "keys")
            defer { progress.end() }
            var done = 0
            try connection.dump { item in
                done += 1
                progress.show(done)
                guard isWanted(item.key) else { return }
                count += 1
                guard rows.count < limit else { return }
                rows.append(
                    Row(
                        key: item.key, bytes: item.size, idleSeconds: max(0, now - item.lastAccess),
                        expiresInSeconds: item.expiry.map { $0 - now }))
            }
        }
        rows.sort { $0.key < $1.key }
        if servers.json { return try printJSON(rows) }
        var table = Table(["KEY", "SIZE", "IDLE", "EXPIRES IN"], rightAligned: [1, 2, 3])
        for row in rows {
            table.append([
                row.key, Words.bytes(row.bytes), Words.duration(Double(row.idleSeconds)),
                row.expiresInSeconds.map { Words.duration(Double($0)) } ?? "never",
            ])
        }
        if !rows.isEmpty { print(table.render()) }
        print("\(count) keys" + (count > rows.count ? ", of which \(rows.count) are shown: --limit shows more" : ""))
    }

    private func isWanted(_ key: String) -> Bool {
        guard key.hasPrefix("\(namespace):") else { return false }
        guard let function else { return true }
        let parts = key.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        return parts.count == 3 && parts[2].hasPrefix("\(function)(")
    }
}
