/// Compares some of the values that are served with what their loader says, beside the calls: for what no protocol catches, an
/// invalidation that somebody forgot.
///
/// One of so many served values is loaded once more, unless its call has had it refreshed. If the two differ, then a moment later both are looked at again: a change
/// whose invalidation was under way has arrived by then. If the same value is served still, and the loader says the same as
/// before, that is told by the event ``CacheEvent/Kind/mismatch``, and nothing else: what is cached stays.
public struct CacheAudit: Sendable {
    /// One of so many served values is looked at, by chance.
    public var every: Int
    /// How long to wait before a difference is believed: longer than an invalidation takes after its change, and than a replica
    /// lags that the loader reads from.
    public var patience: Duration
    /// How many comparisons may be under way in a cache.
    public var atATime: Int
    /// How long after one began the next one may, in a cache.
    public var pause: Duration

    /// Makes an audit.
    public init(
        every: Int, patience: Duration = .seconds(2), atATime: Int = 2, pause: Duration = .milliseconds(100)
    ) {
        self.every = every
        self.patience = patience
        self.atATime = atATime
        self.pause = pause
    }
}
