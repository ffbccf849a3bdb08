/// How long the protocol waits for what, who waits for a refresh, and what follows a failure.
public struct CachePolicy: Sendable {
    /// Who gets the new value when a stale one is being refreshed.
    public struct Refresh: Sendable, Hashable {
        private let waits: Bool

        /// Everybody is served the stale value at once; the one caller that won the claim also starts the load.
        public static let background = Refresh(waits: false)
        /// The caller that won the claim waits for its load and gets the new value, or the loader's error. The others
        /// are served the stale value.
        public static let foreground = Refresh(waits: true)
    }

    /// The pause after a load that failed, in which a stale value is served without another attempt, in the whole fleet. It
    /// doubles with each failure of a key in a row in a process.
    public struct FailurePause: Sendable, Hashable {
        /// After the first failure; zero for no pause.
        public var first: Duration
        /// After many.
        public var longest: Duration

        /// Makes a pause.
        public init(first: Duration = .milliseconds(5), longest: Duration = .seconds(1)) {
            self.first = first
            self.longest = longest
        }

        /// No pause.
        public static let none = FailurePause(first: .zero, longest: .zero)
    }

    /// Which errors of a load may be shared with calls that come after it, and for how long.
    public struct ErrorSharing: Sendable {
        /// How old a failure may be that a call is given in place of a load of its own; zero for never.
        public var duration: Duration
        /// Which errors are shared. A cancellation never is.
        public var includes: @Sendable (any Error) -> Bool

        /// Makes a rule.
        public init(for duration: Duration, where includes: @escaping @Sendable (any Error) -> Bool = { _ in true }) {
            self.duration = duration
            self.includes = includes
        }

        /// No error is shared: each call runs the loader.
        public static let none = ErrorSharing(for: .zero)
    }

    /// Which errors of a load leave a value in place that is older than `staleFor` allows, and for how long: RFC 5861,
    /// `stale-if-error`.
    public struct StaleIfError: Sendable {
        /// How long after the end of its freshness a value may be served in place of an error; zero for never.
        public var duration: Duration
        /// For which errors. All others, "not found" say, replace the value: it is removed. A cancellation never does
        /// either.
        public var includes: @Sendable (any Error) -> Bool

        /// Makes a rule.
        public init(for duration: Duration, where includes: @escaping @Sendable (any Error) -> Bool = { _ in true }) {
            self.duration = duration
            self.includes = includes
        }

        /// Values are served for `staleFor`, whatever the error, and no longer.
        public static let none = StaleIfError(for: .zero)

        var isOn: Bool { duration > .zero }
    }

    /// How long a load may take.
    public struct LoadTimeout: Sendable, Hashable {
        /// How long a call waits for a load, its own or another's: then it is served a stale value where there is one that
        /// may be, or fails with code `loadTimeout`. The load goes on and is stored. `nil` for as long as it takes, as
        /// a `refresh` always waits.
        public var soft: Duration?
        /// How long a loader runs before it is cancelled. All who wait for it are served a stale value where
        /// `staleIfError` allows it, or fail with code `loadTimeout`, whether it heeds its cancellation or not, and its
        /// lease is given back. `nil` for as long as it takes.
        public var hard: Duration?

        /// Makes a rule.
        public init(soft: Duration? = nil, hard: Duration? = nil) {
            self.soft = soft
            self.hard = hard
        }

        /// A load may take as long as it takes.
        public static let none = LoadTimeout()
    }

    /// What a call gets while the store cannot be asked.
    public struct WhenAway: Sendable, Hashable {
        /// For how long after it was vouched for a value is served.
        let heldFor: Duration

        /// Its own load, or one that it shares.
        public static let load = WhenAway(heldFor: .zero)

        /// A value that this cache holds, since it was read in the store or its load began at most so long ago, and that was
        /// neither invalidated nor expired by this cache since; else a load.
        ///
        /// **What is invalidated elsewhere meanwhile is served all the same**, by another cache of this process, too: this is
        /// the one exception from I1 and I2.
        /// Such an answer is reported as ``CacheEvent/Kind/held``. Up to 16,384 values of a cache are held, decoded, whose
        /// payloads take 64 MB at most, and each costs a hit a little more.
        public static func serveHeld(for duration: Duration) -> WhenAway {
            WhenAway(heldFor: min(duration, .longestLifetime))
        }

        var isHolding: Bool { heldFor > .zero }
    }

    /// Whether values are refreshed before they are stale.
    public struct EarlyRefresh: Sendable, Hashable {
        /// How early: 1 is what the paper calls optimal, more is earlier.
        public let beta: Double

        /// Values are refreshed when they are stale.
        public static let none = EarlyRefresh(beta: 0)

        /// Whoever is served a value may refresh it in the background although it is fresh: by chance, which grows towards the
        /// end of its freshness, the more the longer its load took. So a value that is asked for often is seldom stale, and one
        /// that is not costs no load. XFetch, from Vattani, Chierichetti, Lowenstein, Optimal Probabilistic Cache Stampede
        /// Prevention, PVLDB 8(8), 2015.
        ///
        /// - Parameter beta: 1 is what the paper calls optimal; more is earlier.
        public static func byChance(beta: Double = 1) -> EarlyRefresh { EarlyRefresh(beta: beta) }

        var isOn: Bool { beta > 0 }
    }

    /// How long a value is fresh, where nothing else says so.
    public var ttl: Duration
    /// How long a `nil` is fresh; `nil` for not caching it.
    public var nilFor: Duration?
    /// By which part of it at most the time that a value is fresh is shortened, by chance, from 0 to less than 1: values that
    /// were cached together are then not stale together.
    public var jitter: Double
    /// Whether values are refreshed before they are stale.
    public var earlyRefresh: EarlyRefresh
    /// How long after the end of its freshness a value may be served while someone refreshes it. May be zero.
    public var staleFor: Duration
    /// How long a loader may hold a key before its process has to prolong the lease. Longer than a load usually takes.
    public var leaseFor: Duration
    /// How long a loader may hold a key in all, and the longest that a caller waits for another's load: twice
    /// `leaseFor` unless it is set.
    public var longestLease: Duration {
        get { longest ?? min(leaseFor, .longestLifetime) * 2 }
        set { longest = newValue }
    }
    /// Who waits for a refresh.
    public var refresh: Refresh
    private var longest: Duration?
    /// The pause after a load that failed.
    public var failurePause: FailurePause
    /// Which errors are shared with later calls where there is no stale value: none unless it is set.
    public var errorSharing: ErrorSharing
    /// Which errors are answered with a stale value that is older than `staleFor` allows: none unless it is set.
    public var staleIfError: StaleIfError
    /// How long a load may take.
    public var loadTimeout: LoadTimeout
    /// How many loads may run at a time in this process: of a function, by the policy that it is given; in all, by the
    /// cache's. `nil` for any number. For a value by key only the cache's counts.
    ///
    /// A call beyond it is served a stale value where there is one that may be, else waits for its turn for as long as
    /// `longestLease`, else fails with code `tooManyLoads`. A load that another load asks for has its place in the cache
    /// already, and in the function if both are of one: functions that ask for each other, each with a bound of its own, may
    /// wait for each other that long.
    /// When as many loads as may run have failed one after the other, one is let through at a time, then twice as many
    /// with each that works.
    public var maximumLoads: Int?
    /// How many calls may wait for their turn when there are as many loads as may be.
    public var maximumWaitingLoads: Int
    /// What a call gets while the store cannot be asked: a load, unless it is set.
    public var whenAway: WhenAway
    /// Whether some of the values that are served are compared with what their loader says: none unless it is set.
    public var audit: CacheAudit?

    /// Makes a policy.
    public init(
        ttl: Duration = .seconds(300), nilFor: Duration? = nil, jitter: Double = 0, earlyRefresh: EarlyRefresh = .none,
        staleFor: Duration = .seconds(30), leaseFor: Duration = .seconds(30), longestLease: Duration? = nil,
        refresh: Refresh = .background, failurePause: FailurePause = FailurePause(),
        errorSharing: ErrorSharing = .none, staleIfError: StaleIfError = .none, loadTimeout: LoadTimeout = .none,
        maximumLoads: Int? = nil, maximumWaitingLoads: Int = 1000, whenAway: WhenAway = .load,
        audit: CacheAudit? = nil
    ) {
        self.ttl = ttl
        self.nilFor = nilFor
        self.jitter = jitter
        self.earlyRefresh = earlyRefresh
        self.staleFor = staleFor
        self.leaseFor = leaseFor
        longest = longestLease
        self.refresh = refresh
        self.failurePause = failurePause
        self.errorSharing = errorSharing
        self.staleIfError = staleIfError
        self.loadTimeout = loadTimeout
        self.maximumLoads = maximumLoads
        self.maximumWaitingLoads = maximumWaitingLoads
        self.whenAway = whenAway
        self.audit = audit
    }

    /// The same with durations of which no sum overflows.
    var bounded: CachePolicy {
        var policy = self
        policy.staleFor = min(staleFor, .longestLifetime)
        policy.leaseFor = min(leaseFor, .longestLifetime)
        policy.longest = longest.map { min($0, .longestLifetime * 2) }
        policy.staleIfError.duration = min(staleIfError.duration, .longestLifetime)
        return policy
    }

    /// Whether a value that was cached before may be served in place of an error.
    func keeps(after error: any Error) -> Bool {
        staleIfError.isOn && !(error is CancellationError) && staleIfError.includes(error)
    }

    /// Whether a value that was cached before is removed after an error.
    func replaces(after error: any Error) -> Bool {
        staleIfError.isOn && !(error is CancellationError) && !staleIfError.includes(error)
    }

    /// How long the store keeps a value after the end of its freshness.
    ///
    /// - Parameter ownStaleFor: for how long it may be served stale, where its load has said so.
    func keptFor(_ ownStaleFor: Duration? = nil) -> Duration { max(ownStaleFor ?? staleFor, staleIfError.duration) }

    /// The gate for as many loads as may run.
    var gate: LoadGate? { maximumLoads.map { LoadGate($0, longestLine: maximumWaitingLoads) } }

    /// How long the store keeps an item that carries a lease. As long again as the lease, so that a load which overran
    /// it may still fill as long as nobody took the key over.
    var leaseExpiry: Duration { leaseFor + longestLease }
}

extension Duration {
    /// A hundred years: as good as for ever, and no sum of such durations overflows.
    static var longestLifetime: Duration { .seconds(100 * 365 * 86_400) }
}
