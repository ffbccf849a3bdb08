#if Configuration
public import Configuration

extension CachePolicy {
    /// Makes a policy from a configuration. What is not there is as in ``init(ttl:nilFor:jitter:earlyRefresh:staleFor:leaseFor:longestLease:refresh:failurePause:errorSharing:staleIfError:loadTimeout:maximumLoads:maximumWaitingLoads:whenAway:audit:)``.
    ///
    /// ## Configuration keys
    /// Durations are in milliseconds.
    /// - `ttl` (int): how long a value is fresh.
    /// - `nilFor` (int): how long a nil is fresh; without it no nil is cached.
    /// - `jitter` (double): by which part of it at most that is shortened, by chance, 0 to less than 1.
    /// - `earlyRefresh` (double): the β of early refreshes by chance, 1 as a rule.
    /// - `staleFor` (int): how long after that a value may be served while someone refreshes it.
    /// - `leaseFor` (int): how long a loader may hold a key before its process has to prolong that.
    /// - `longestLease` (int): how long in all.
    /// - `waitsForRefresh` (bool): whether the caller that refreshes a stale value waits for the new one.
    /// - `failurePause.first`, `failurePause.longest` (int): the pause after a load that failed, which doubles from the first
    ///   to the longest.
    /// - `staleIfError` (int): how long after its freshness a value is served in place of any error.
    /// - `loadTimeout.soft`, `loadTimeout.hard` (int): how long a call waits for a load, and how long that may run.
    /// - `maximumLoads`, `maximumWaitingLoads` (int): how many loads may run at a time, and how many calls wait for that.
    /// - `auditEvery` (int): one of so many served values is compared with what its loader says.
    /// - `serveHeldFor` (int): how old what this process holds may be that is served while the store is away.
    ///
    /// - Throws: ``CacheError`` with code `invalidConfiguration` for a value that cannot be read.
    public init(config: ConfigReader) throws {
        self.init()
        ttl = try config.checkedDuration("ttl") ?? ttl
        nilFor = try config.checkedDuration("nilFor")
        jitter = try config.checkedDouble("jitter") ?? jitter
        if let beta = try config.checkedDouble("earlyRefresh") { earlyRefresh = .byChance(beta: beta) }
        staleFor = try config.checkedDuration("staleFor") ?? staleFor
        leaseFor = try config.checkedDuration("leaseFor") ?? leaseFor
        if let longest = try config.checkedDuration("longestLease") { longestLease = longest }
        if let waits = try config.checkedBool("waitsForRefresh") { refresh = waits ? .foreground : .background }
        failurePause.first = try config.checkedDuration("failurePause.first") ?? failurePause.first
        failurePause.longest = try config.checkedDuration("failurePause.longest") ?? failurePause.longest
        if let duration = try config.checkedDuration("staleIfError") { staleIfError = StaleIfError(for: duration) }
        loadTimeout.soft = try config.checkedDuration("loadTimeout.soft")
        loadTimeout.hard = try config.checkedDuration("loadTimeout.hard")
        maximumLoads = try config.checkedInt("maximumLoads")
        maximumWaitingLoads = try config.checkedInt("maximumWaitingLoads") ?? maximumWaitingLoads
        if let every = try config.checkedInt("auditEvery") { audit = CacheAudit(every: every) }
        if let duration = try config.checkedDuration("serveHeldFor") { whenAway = .serveHeld(for: duration) }
    }
}
#endif
