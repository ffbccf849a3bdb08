import Logging
import MintCache

/// Logs what an operator should know and passes every event on.
struct LoggingObserver: CacheObserver {
    private let logger: Logger
    // Not optional: each hit would copy it out.
    private let next: any CacheObserver

    init(logger: Logger, next: (any CacheObserver)?) {
        self.logger = logger
        self.next = next ?? NoObserver()
    }

    func record(_ event: CacheEvent) {
        // All kinds that are logged have one, and a hit, which has none, is compared with none of them.
        if event.error != nil { log(event) }
        next.record(event)
    }

    private func log(_ event: CacheEvent) {
        switch event.kind {
        case .notCached: log(.warning, "a value was not cached", event)
        case .storeTrouble: log(.debug, "the cache store failed; going on without it", event)
        case .loadFailed: log(.debug, "a loader failed", event)
        default: break
        }
    }

    private func log(_ level: Logger.Level, _ message: Logger.Message, _ event: CacheEvent) {
        guard logger.logLevel <= level else { return }
        var metadata: Logger.Metadata = [:]
        let isTrace = logger.logLevel == .trace
        if isTrace { metadata["key"] = "\(event.key)" }
        if var error = event.error as? CacheError {
            // The error of an encoder may have the value in it.
            if !isTrace, error.code == .encodingFailed { error.underlying = nil }
            metadata["error"] = "\(error)"
        } else if let error = event.error {
            metadata["error"] = "\(error)"
        }
        logger.log(level: level, message, metadata: metadata)
    }
}
