import Foundation

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What the demo prints.
struct Report: Sendable {
    private static let widths = [34, 8, 8, 7, 7, 9, 9, 14]

    private let isTerminal = isatty(1) == 1

    func header() {
        row(["", "", "", "", "", "", "", "loads without"])
        row(["phase", "calls", "hits", "stale", "loads", "p50", "p99", "protection"])
        print(String(repeating: "-", count: Self.widths.reduce(0, +)))
    }

    func row(_ cells: [String]) {
        let line = zip(cells, Self.widths).enumerated().map { index, cell in
            let padding = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
            return index == 0 ? cell.0 + padding : padding + cell.0
        }
        clear()
        print(line.joined())
    }

    /// A line that the next one overwrites, where there is a terminal to overwrite it on.
    func progress(_ text: String) {
        guard isTerminal else { return }
        clear()
        print(text, terminator: "")
        fflush(nil)
    }

    private func clear() {
        if isTerminal { print("\r\u{1B}[2K", terminator: "") }
    }

    static func milliseconds(_ duration: Duration) -> String {
        duration.formatted(.units(allowed: [.milliseconds], width: .narrow, fractionalPart: .show(length: 2)))
    }
}
