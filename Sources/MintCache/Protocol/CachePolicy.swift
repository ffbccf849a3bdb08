/// How long the protocol waits for what, and who waits for a refresh.
public struct CachePolicy: Sendable, Hashable {
    /// Who gets the new value when a stale one is being refreshed.
    public enum Refresh: Sendable, Hashable {
        /// Everybody is served the stale value at once; the one caller that won the claim also starts the load.
        case background
        /// The caller that won the claim waits for its load and gets the new value, or the loader's error. The others
        /// are served the stale value.
        case foreground
    }

    /// How long after the end of its freshness a value may be served while someone refreshes it. May be zero.
    public var staleFor: Duration
    /// How long a loader may hold a key, and the longest that a caller waits for another's load. Longer than the
    /// slowest load: a load that takes longer may be started a second time, and then its value is not stored.
    public var leaseFor: Duration
    /// Who waits for a refresh.
    public var refresh: Refresh

    /// Makes a policy.
    public init(
        staleFor: Duration = .seconds(30), leaseFor: Duration = .seconds(30), refresh: Refresh = .background
    ) {
        self.staleFor = min(staleFor, .longestLifetime)
        self.leaseFor = min(leaseFor, .longestLifetime)
        self.refresh = refresh
    }

    /// How long the store keeps an item that carries a lease. Twice the lease, so that a load which overran its lease
    /// may still fill as long as nobody took the key over.
    var leaseExpiry: Duration { leaseFor * 2 }
}

extension Duration {
    /// A hundred years: as good as for ever, and no sum of such durations overflows.
    static var longestLifetime: Duration { .seconds(100 * 365 * 86_400) }
}
