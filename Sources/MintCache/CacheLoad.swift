import Synchronization

/// What a loader can know of the load that it runs for.
public struct CacheLoad: Sendable {
    private init() {}

    /// Whether the load began within the window of an invalidation with `settlingFor`: a replica that lags may not know
    /// yet what was invalidated, and the primary is to be asked. What is loaded is cached until the end of the window at
    /// most, all the same.
    ///
    /// Without a lease nobody knows of a window but where an invalidation of this process has failed, or where the store
    /// was read and no lease could be had.
    @TaskLocal public static var isSettling = false

    /// Says that the load has failed although the loader returns something: its callers are served a stale value where there
    /// is one that may be, and else what it returns, which is not stored. What was cached before stays, as after an error.
    ///
    /// It has no effect outside of a loader.
    public static func reportFailure(_ error: any Error) { report?.failure.withLock { $0 = error } }

    /// What a loader reports of its load.
    final class Report: Sendable {
        let failure = Mutex<(any Error)?>(nil)
    }

    @TaskLocal static var report: Report?
}
