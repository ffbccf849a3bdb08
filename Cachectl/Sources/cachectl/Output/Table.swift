import Foundation

/// Rows for a person, in columns.
struct Table {
    private var rows: [[String]]
    private let rightAligned: Set<Int>

    /// - Parameter rightAligned: the columns of numbers.
    init(_ header: [String], rightAligned: Set<Int> = []) {
        rows = [header]
        self.rightAligned = rightAligned
    }

    mutating func append(_ row: [String]) { rows.append(row) }

    func render() -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: max(0, widths[column] - cell.count))
                return rightAligned.contains(column) ? space + cell : cell + space
            }
            var line = cells.joined(separator: "  ")
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }
}

/// Prints what a command has found out.
func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
}

/// Numbers as people read them.
enum Words {
    static func bytes(_ count: Int) -> String {
        var (number, unit) = (Double(count), "B")
        for next in ["kB", "MB", "GB", "TB"] where number >= 1000 { (number, unit) = (number / 1000, next) }
        return unit == "B" ? "\(count) B" : String(format: "%.1f %@", number, unit)
    }

    static func duration(_ seconds: Double) -> String {
        let size = abs(seconds)
        if size < 1 { return "\(Int((seconds * 1000).rounded())) ms" }
        if size < 120 { return String(format: "%.1f s", seconds) }
        if size < 7200 { return "\(Int((seconds / 60).rounded())) min" }
        if size < 172_800 { return "\(Int((seconds / 3600).rounded())) h" }
        return "\(Int((seconds / 86_400).rounded())) days"
    }

    static func percent(_ part: Int, of whole: Int) -> String {
        whole == 0 ? "-" : String(format: "%.1f %%", Double(part) / Double(whole) * 100)
    }
}
