import Foundation
import MintCache

/// A line of a metadump: an item without its value.
struct DumpedItem {
    let key: String
    /// Seconds since 1970; `nil` for never.
    let expiry: Int?
    let lastAccess: Int
    /// With what the server needs besides.
    let size: Int

    /// - Returns: `nil` for a line that is none.
    init?(_ line: String) {
        var fields: [Substring: Substring] = [:]
        for field in line.split(separator: " ") {
            let parts = field.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { fields[parts[0]] = parts[1] }
        }
        // The server escapes keys, which may be escaped themselves.
        guard let key = fields["key"].flatMap({ String($0).removingPercentEncoding }) else { return nil }
        self.key = key
        expiry = fields["exp"].flatMap { Int($0) }.flatMap { $0 < 0 ? nil : $0 }
        lastAccess = fields["la"].flatMap { Int($0) } ?? 0
        size = fields["size"].flatMap { Int($0) } ?? 0
    }
}

extension Connection {
    /// All items, without their values.
    func dump(_ body: (DumpedItem) throws -> Void) throws {
        try lines(of: "lru_crawler metadump all") { line in
            if let item = DumpedItem(line) { try body(item) }
        }
    }
}
