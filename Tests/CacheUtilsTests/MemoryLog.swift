import Logging
import Synchronization

/// A log that remembers what was logged, by level.
final class MemoryLog: LogHandler, @unchecked Sendable {
    // @unchecked: a test sets these before it logs.
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace
    private let lines = Mutex<[(Logger.Level, String)]>([])

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let error = event.error.map { " \($0)" } ?? ""
        lines.withLock { $0.append((event.level, "\(event.message) \(event.metadata ?? [:])\(error)")) }
    }

    func lines(_ level: Logger.Level) -> [String] { lines.withLock { $0.filter { $0.0 == level }.map(\.1) } }
}
