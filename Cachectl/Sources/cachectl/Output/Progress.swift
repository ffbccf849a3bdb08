import Foundation

/// A bar for what takes long, where somebody looks at a terminal.
final class Progress {
    private static let width = 30
    private let isShown = isatty(STDERR_FILENO) == 1
    private let total: Int
    private let unit: String
    private var last = Date.distantPast

    /// - Parameter total: how much there is to do.
    init(total: Int, unit: String) {
        self.total = max(1, total)
        self.unit = unit
    }

    /// Says how much is done.
    func show(_ done: Int) {
        guard isShown, Date().timeIntervalSince(last) > 0.1 else { return }
        last = Date()
        let filled = min(Self.width, Self.width * done / total)
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: Self.width - filled)
        write("\r[\(bar)] \(done) of \(total) \(unit)")
    }

    /// Takes the bar away.
    func end() {
        if isShown { write("\r\u{1B}[K") }
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
