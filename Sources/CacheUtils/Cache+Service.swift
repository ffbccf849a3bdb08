#if ServiceLifecycle
import Logging
import MintCache
public import ServiceLifecycle
import Synchronization

/// A cache as a service of swift-service-lifecycle.
extension Cache: Service {
    /// Waits for the graceful shutdown of the service group, or until the task is cancelled, and then drains the cache: loads
    /// and refreshes end and are stored, leases are given back, and invalidations that have failed are tried once more.
    ///
    /// ```swift
    /// let group = ServiceGroup(services: [cache, server], logger: logger)
    /// try await group.run()
    /// ```
    ///
    /// Services shut down from the last to the first: name the cache before those that use it. Calls work before it runs and
    /// after it has ended, too. What is left then is logged at info level, since it is nobody's error.
    ///
    /// - Throws: ``MintCache/CacheError`` with code `invalidConfiguration` when this cache, or a copy of it, was run before.
    public func run() async throws {
        guard !wasRun.flag.exchange(true, ordering: .sequentiallyConsistent) else {
            throw CacheError(
                .invalidConfiguration, "this cache was run before: add it, and its copies, to one service group, once")
        }
        // It throws when the task is cancelled, which ends the service as well.
        try? await gracefulShutdown()
        let left = await drain()
        guard !left.isComplete else { return }
        let logger = logger ?? Logger.current
        logger.info(
            "a cache has shut down before all was done",
            metadata: [
                LogMetadata.loadsEnded: "\(left.hasEnded)", LogMetadata.pending: "\(left.pendingInvalidations.count)",
            ])
    }
}

/// Whether something was run.
final class RunFlag: Sendable {
    let flag = Atomic(false)
}
#endif
