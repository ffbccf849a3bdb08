/// An invalidation that has failed and is being repeated. Meanwhile this process takes what it names for invalid.
public struct PendingInvalidation: Sendable {
    /// The value key, or the generation key of the group.
    public var key: StoreKey
    /// The name of the cached function; empty for a group, and for a value by key.
    public var function: String
    /// Whether it is a group's, on one of the servers.
    public var isGroup: Bool
    /// How long ago it was asked for, the last time.
    public var age: Duration
    /// How often it has failed.
    public var failures: Int
    /// Why it failed the last time.
    public var error: (any Error)?
}

/// What was left when a cache was drained.
public struct DrainResult: Sendable {
    /// Whether all loads, fills and invalidations that were under way have ended, and none is pending.
    public var isComplete: Bool { hasEnded && pendingInvalidations.isEmpty }
    /// Whether all loads and fills that were under way have ended.
    public var hasEnded: Bool
    /// Invalidations that have failed, once more now. Should the process end, they are lost: other processes may be served what
    /// they name.
    public var pendingInvalidations: [PendingInvalidation]
}
