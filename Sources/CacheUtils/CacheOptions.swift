public import MintCache

/// The checked options of a cached function or key.
@usableFromInline
struct CacheOptions: Sendable {
    @usableFromInline let entries: CacheEntry.Options

    var policy: CachePolicy { entries.policy }
    var function: String { entries.function }
    var groups: [StoreKey] { entries.groups }

    /// - Parameters:
    ///   - function: the name of the cached function; empty for a value by key.
    ///   - limitsLoads: whether `maximumLoads` is for the function, and not the cache's only.
    init(
        function: String, policy: CachePolicy, groups: [String], limitsLoads: Bool = false,
        like other: CacheOptions? = nil, in keys: KeySpace
    ) throws(CacheError) {
        try Self.check(policy)
        var unique: Set<StoreKey> = []
        for name in groups { unique.insert(try keys.key(ofGroup: name)) }
        if let all = try keys.groupOfAll() { unique.insert(all) }
        try Self.check(groupCount: unique.count)
        entries = CacheEntry.Options(
            function: function, groups: Array(unique), policy: policy, limitsLoads: limitsLoads, like: other?.entries)
    }

    private init(_ entries: CacheEntry.Options) { self.entries = entries }

    /// The same with another policy.
    func with(_ policy: CachePolicy) throws(CacheError) -> CacheOptions {
        try Self.check(policy)
        return CacheOptions(entries.with(policy))
    }

    @usableFromInline
    func entry(_ key: StoreKey) -> CacheEntry { CacheEntry(key: key, options: entries) }

    static func check(_ policy: CachePolicy) throws(CacheError) {
        try check(policy.ttl, "ttl", "how long a value is fresh")
        if let nilFor = policy.nilFor {
            try check(nilFor, "nilFor", "how long a nil is fresh, or leave it out to cache no nil")
        }
        guard policy.jitter >= 0, policy.jitter < 1 else {
            throw CacheError(
                .invalidConfiguration,
                "a jitter of \(policy.jitter) is no part of a ttl: give 0 to less than 1, 0.1 for a tenth")
        }
        guard policy.earlyRefresh.beta >= 0 else {
            throw CacheError(
                .invalidConfiguration,
                "an early refresh with a beta of \(policy.earlyRefresh.beta): give 1, or more for earlier, or use .none"
            )
        }
        try check(policy.leaseFor, "leaseFor", "longer than a load usually takes")
        guard policy.longestLease >= policy.leaseFor else {
            throw CacheError(
                .invalidDuration,
                "a longestLease of \(policy.longestLease) is shorter than the leaseFor of \(policy.leaseFor): give it "
                    + "at least that")
        }
        let pause = policy.failurePause
        for (duration, name) in [
            (policy.staleFor, "staleFor"), (pause.first, "failurePause.first"), (pause.longest, "failurePause.longest"),
            (policy.errorSharing.duration, "duration of errorSharing"),
            (policy.staleIfError.duration, "duration of staleIfError"),
        ] where duration < .zero {
            throw CacheError(.invalidDuration, "a \(name) of \(duration) is negative: use zero for none")
        }
        if let audit = policy.audit {
            guard audit.every >= 1, audit.atATime >= 1, audit.patience >= .zero, audit.pause >= .zero else {
                throw CacheError(
                    .invalidConfiguration,
                    "an audit of one value in \(audit.every), \(audit.atATime) at a time, with a patience of \(audit.patience) "
                        + "and a pause of \(audit.pause): give at least 1 and 1, and durations that are not negative")
            }
        }
        if let soft = policy.loadTimeout.soft { try check(soft, "loadTimeout.soft", "how long a call may wait") }
        if let hard = policy.loadTimeout.hard { try check(hard, "loadTimeout.hard", "how long a loader may run") }
        if let most = policy.maximumLoads, most < 1 {
            throw CacheError(
                .invalidConfiguration, "maximumLoads of \(most) let no load run: give at least 1, or nil for any number"
            )
        }
        guard policy.maximumWaitingLoads >= 0 else {
            throw CacheError(
                .invalidConfiguration,
                "maximumWaitingLoads of \(policy.maximumWaitingLoads) is negative: use zero for none")
        }
    }

    /// The options of a result that has groups besides those of its function.
    func with(groups: [StoreKey]) throws(CacheError) -> CacheEntry.Options {
        let all = Set(entries.groups).union(groups)
        try Self.check(groupCount: all.count)
        return entries.with(groups: Array(all))
    }

    private static func check(groupCount: Int) throws(CacheError) {
        guard groupCount <= 255 else {
            throw CacheError(
                .invalidKey, "\(groupCount) groups for one value, that of everything included: use at most 255")
        }
    }

    private static func check(_ duration: Duration, _ name: String, _ advice: String) throws(CacheError) {
        guard duration > .zero else {
            throw CacheError(.invalidDuration, "a \(name) of \(duration) is not positive: give \(advice)")
        }
    }
}

/// Checks the window of an invalidation.
func checked(_ window: Duration) throws(CacheError) -> Duration {
    guard window >= .zero else {
        throw CacheError(
            .invalidDuration, "a settlingFor of \(window) is negative: give how far a replica may lag, or leave it out")
    }
    return min(window, .seconds(86_400))
}
