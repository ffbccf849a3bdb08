import Logging
import MintCache

/// Logs what an operator should know and passes every event on.
struct LoggingObserver: CacheObserver {
    let logger: Logger
    let next: (any CacheObserver)?

    func record(_ event: CacheEvent) {
        switch event.kind {
        case .notCached: log(.warning, "a value was not cached", event)
        case .storeTrouble: log(.debug, "the cache store failed; going on without it", event)
        case .loadFailed: log(.debug, "a loader failed", event)
        default: break
        }
        next?.record(event)
    }

    private func log(_ level: Logger.Level, _ message: Logger.Message, _ event: CacheEvent) {
        var metadata: Logger.Metadata = [:]
        if let error = event.error { metadata["error"] = "\(error)" }
        if logger.logLevel == .trace { metadata["key"] = "\(event.key)" }
        logger.log(level: level, message, metadata: metadata)
    }
}
