import Logging
import MintCache

/// Logs what an operator should know and passes every event on.
struct LoggingObserver: CacheObserver {
    /// `nil` for that of the task in which something happens.
    private let logger: Logger?
    /// At which level it is said that something goes wrong again and again; `nil` for never.
    private let troubleLevel: Logger.Level?
    private let trouble: RepeatedTrouble
    // Not optional: each hit would copy it out.
    private let next: any CacheObserver

    init(logger: Logger?, troubleLevel: Logger.Level?, clock: any CacheClock, next: (any CacheObserver)?) {
        self.logger = logger
        self.troubleLevel = troubleLevel
        trouble = RepeatedTrouble(clock: clock)
        self.next = next ?? NoObserver()
    }

    func record(_ event: CacheEvent) {
        // A hit, which has neither error nor reason, is compared with these two only.
        if event.error != nil {
            logError(event)
        } else if event.kind == .mismatch {
            log(.debug, "a cached value is not what its loader says", event, showsKey: true)
        } else if event.reason != nil || event.kind == .loadOverran {
            logMiss(event)
        }
        next.record(event)
    }

    private func logError(_ event: CacheEvent) {
        switch event.kind {
        case .notCached:
            say("values are not cached", "\((event.error as? CacheError)?.code.description ?? "notCached")", event)
        case .changedByCodec: say("values are changed by their codec", "changedByCodec", event)
        // Nobody is thrown these two.
        case .duplicateFunction: log(.info, "two cached functions have one name", event)
        case .invalidationLost: log(.info, "an invalidation was given up", event)
        case .invalidationFailed: log(.debug, "an invalidation failed", event)
        case .storeTrouble: log(.debug, "the cache store failed; going on without it", event)
        case .loadFailed: log(.debug, "a loader failed", event)
        default: break
        }
    }

    private func logMiss(_ event: CacheEvent) {
        if event.kind == .loadOverran {
            say("loads outlast their leases: raise leaseFor", "loadOverran", event)
        } else if event.kind == .miss, let reason = event.reason, let advice = Self.advice[reason] {
            say(
                "calls miss for the same reason again and again: \(advice)", reason.description, event,
                isOnceEnough: false)
        }
    }

    /// The reasons that do not go away by themselves, with what to do.
    private static let advice: [CacheEvent.Reason: Logger.Message] = [
        .otherGroups: "give the function the same groups everywhere",
        .otherFormat:
            "another function or release caches under these keys, so raise the version or rename the function",
        .undecodable: "what the codec encodes it does not decode again",
        .foreignBytes: "something else writes under these keys",
        .stampLost: "the store loses the stamps of groups, so give it more memory",
        .storeTrouble: "the store fails, and loads run without it",
    ]

    /// Says that something goes wrong again and again, now and then.
    private func say(_ message: Logger.Message, _ name: String, _ event: CacheEvent, isOnceEnough: Bool = true) {
        guard let level = troubleLevel, let count = trouble.note(name, event, isOnceEnough: isOnceEnough) else {
            return
        }
        log(level, message, event, [LogMetadata.reason: "\(name)", LogMetadata.count: "\(count)"])
    }

    private func log(
        _ level: Logger.Level, _ message: Logger.Message, _ event: CacheEvent, _ more: Logger.Metadata = [:],
        showsKey: Bool = false
    ) {
        let logger = logger ?? Logger.current
        guard logger.logLevel <= level else { return }
        var metadata = more
        if !event.function.isEmpty { metadata[LogMetadata.function] = "\(event.function)" }
        let isTrace = logger.logLevel == .trace
        if isTrace || showsKey {
            metadata[LogMetadata.key] = .attributed(event.key, attributes: [CacheLogSensitivity.sensitive])
        }
        let error = isTrace ? event.error : event.error?.withoutKeysAndValues
        logger.log(level: level, message, error: error, metadata: metadata)
    }
}

extension Error {
    /// The same without what is for trace level only: keys, and the error of an encoder, which may have the value in
    /// it.
    fileprivate var withoutKeysAndValues: any Error {
        guard var error = self as? CacheError else { return self }
        error.keys = []
        if [.encodingFailed, .lossyCodec].contains(error.code) { error.underlying = nil }
        return error
    }
}
