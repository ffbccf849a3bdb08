#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif
public import Logging
public import MintCache

/// A cache for the results of async functions, on a store that may be shared by a whole fleet.
///
/// ```swift
/// let cache = Cache(store: InMemoryStore(), namespace: "shop", version: "7")
/// let city = cache.cached("City.get", ttl: .seconds(86_400), groups: ["cities"]) { (slug: String) in
///     try await database.city(slug: slug)
/// }
/// let paris = try await city("paris")
/// try await city.invalidate("paris")
/// try await cache.invalidate(group: "cities")
/// ```
///
/// A value that was invalidated never comes back, a value that has just expired is served stale while one caller in
/// the fleet recomputes it, and store trouble never fails a read. See the article *Guarantees*.
///
/// A cache is a small value: pass it around as you like. Make one for each namespace and version and keep it, since
/// callers of the same cache share loads in flight without asking the store more than once.
public struct Cache: Sendable {
    let keys: KeySpace
    let engine: ReadThroughCache
    let policy: CachePolicy
    let functions = FunctionRegistry()
    let checksCodecs: Bool
    let trapsBadOptions: Bool
    let decoded: DecodedValues
    /// `nil` for that of the task.
    let logger: Logger?
    #if ServiceLifecycle
    let wasRun = RunFlag()
    #endif

    /// Makes a cache.
    ///
    /// - Parameters:
    ///   - store: where values are kept.
    ///   - namespace: the application. Caches in different namespaces share nothing.
    ///   - version: the version of what is cached: raise it when a release changes what the cached functions return,
    ///     and old and new processes run side by side without seeing each other's values. Groups are the namespace's:
    ///     invalidating one invalidates its values in every version.
    ///   - invalidatesAlso: other versions whose values are invalidated along with this one's: that of the release
    ///     before, and that of the next one. See the article *Deploys*.
    ///   - firstEditionVersions: versions of releases with the first edition of this package that run still: their values
    ///     are invalidated along, and their groups, which nothing else reaches.
    ///   - canInvalidateAll: whether ``invalidateAll()`` can be used, for which each hit reads one more key. It is to be
    ///     the same in all processes: raise the version with it.
    ///   - warmGroupCount: of how many groups, those that are read most, this process reads the stamps every three seconds
    ///     from each server: a server that is full of larger values loses those of groups that are quiet within seconds,
    ///     and all values of the group with them (`CacheStatistics.Snapshot.lostStamps`).
    ///   - policy: the options of functions and values that are given none of their own. Its ``CachePolicy/maximumLoads``
    ///     is for all loads of the cache together.
    ///   - clock: what freshness and leases are counted by.
    ///   - observer: is told everything that happens, for statistics.
    ///   - instrumentation: metrics and spans, for the back-ends that the process has when the cache is made.
    ///   - logger: where to log to; unless it is set, to the logger of the task in which something happens (`Logger.current`).
    ///     What is thrown, or goes on without harm, is logged at debug level, keys at trace level and marked
    ///     (``CacheLogSensitivity``), but for those that an audit names at debug level; at info level what can be told in no other way: an invalidation that was given up, and two
    ///     functions with one name.
    ///   - troubleLevel: at which level to log what goes wrong for ever if nobody mends it: calls that always miss for
    ///     the same reason, values that cannot be cached, loads that outlast their leases. A line a minute at most for
    ///     each function and reason; `nil` for none. Info unless it is set, as for libraries; an application may want them as
    ///     warnings.
    ///   - background: what background refreshes take over of the task-local values of the calls that begin them: what logs and
    ///     spans need, unless it is set.
    ///   - checksCodecs: whether each value that is cached is compared with what its codec makes of it, which is told
    ///     once for each function; only in debug builds unless it is set.
    ///   - trapsBadOptions: whether options that cannot work end the process where they are written, in this initializer and in
    ///     `cached`, with a message that says what to do; only in debug builds unless it is set. Else they are errors of every
    ///     call. Switch it off where names of functions or groups are made from data.
    ///   - decodedCapacity: how many bytes of memory decoded values may take, those of all functions together: what has not
    ///     changed in the store is not decoded again. Zero for none. Strings, numbers and bytes are not kept, since
    ///     decoding them takes no longer.
    ///   - isDisabled: whether every call is its loader's, for an incident or a test: nothing is read from the store and nothing
    ///     is cached, while invalidations go on reaching the processes that are not disabled. Calls at the same time share a
    ///     load, and `maximumLoads` holds. Unless it is set, the environment variable `SWIFT_CACHE_DISABLED` says so when the
    ///     cache is made: `1` or `true`.
    ///   - repeatsInvalidationsFor: for how long an invalidation that has failed is repeated before it is given up, which is
    ///     logged as an error: for as long as values live, or this process will serve what was not invalidated.
    ///
    /// An empty namespace, or one that with the version takes more than 128 bytes of a key, is an option that cannot work: the
    /// code of the error is `invalidKey`.
    public init(
        store: any CacheStore, namespace: String, version: String = "1", invalidatesAlso: [String] = [],
        firstEditionVersions: [String] = [], canInvalidateAll: Bool = false, warmGroupCount: Int = 0,
        policy: CachePolicy = CachePolicy(),
        clock: any CacheClock = SystemClock(), observer: (any CacheObserver)? = nil,
        instrumentation: CacheInstrumentation = CacheInstrumentation(),
        logger: Logger? = nil, troubleLevel: Logger.Level? = .info,
        background: BackgroundContext = .observability, checksCodecs: Bool = Self.isDebugBuild,
        trapsBadOptions: Bool = Self.isDebugBuild, decodedCapacity: Int = 64 << 20,
        isDisabled: Bool = Self.isDisabledByEnvironment, repeatsInvalidationsFor: Duration = .seconds(86_400)
    ) {
        keys = KeySpace(
            namespace: namespace, version: version, others: invalidatesAlso, firstEdition: firstEditionVersions,
            canInvalidateAll: canInvalidateAll)
        self.policy = policy
        self.logger = logger
        self.checksCodecs = checksCodecs
        self.trapsBadOptions = trapsBadOptions
        let metrics = instrumentation.metrics?.observer(of: namespace, next: observer)
        let decoded = DecodedValues(capacity: decodedCapacity, clock: clock)
        self.decoded = decoded
        engine = ReadThroughCache(
            store: store, clock: clock,
            observer: LoggingObserver(
                logger: logger, troubleLevel: troubleLevel, clock: clock, next: metrics ?? observer),
            tracing: instrumentation.loads(of: namespace),
            background: background, warmGroupCount: warmGroupCount,
            repeatsInvalidationsFor: min(repeatsInvalidationsFor, .seconds(86_400 * 365)),
            maximumLoads: policy.maximumLoads.map { max(1, $0) },
            maximumWaitingLoads: max(0, policy.maximumWaitingLoads), isDisabled: isDisabled
        ) { invalidated in
            if invalidated.isGroup {
                decoded.forget(group: invalidated.key)
            } else {
                decoded.forget(key: invalidated.key)
            }
        }
        metrics?.sample(engine, store, clock: clock)
        if trapsBadOptions {
            Self.trap(Result { () throws(CacheError) in try CacheOptions.check(policy) }, "in the policy of a cache")
            Self.trap(keys.isUsable, "in the options of a cache")
        }
    }

    /// Ends the process for options that cannot work.
    static func trap(_ checked: Result<some Any, CacheError>, _ place: @autoclosure () -> String) {
        guard case .failure(let error) = checked else { return }
        fatalError("\(place()): \(error.message)")
    }

    /// A cache that caches nothing: every call is its loader's, and invalidating does nothing. A new one each time, so that
    /// nobody shares loads with another who uses one.
    public static var disabled: Cache {
        Cache(store: InMemoryStore(capacity: 0), namespace: "disabled", isDisabled: true)
    }

    /// Whether the environment variable `SWIFT_CACHE_DISABLED` of this process is `1` or `true`.
    public static var isDisabledByEnvironment: Bool {
        ["1", "true"].contains(ProcessInfo.processInfo.environment["SWIFT_CACHE_DISABLED"]?.lowercased())
    }

    /// Whether this package was built for debugging.
    public static var isDebugBuild: Bool {
        #if DEBUG
        true
        #else
        false
        #endif
    }

    // MARK: Going down

    /// Waits until all loads, fills and invalidations that are under way have ended and all leases have been given
    /// back: before the store is shut down, so that no other process has to wait for a lease of this one.
    ///
    /// ```swift
    /// await cache.drain()
    /// await store.shutdown()
    /// ```
    ///
    /// - Parameter patience: how long loads may take still; that is over at once when the task is cancelled. Those that
    ///   run after that lose their leases: their callers get their values, but they are not stored.
    /// - Returns: what was left by then. Invalidations that have failed are tried once more, and are in it if they fail again.
    @discardableResult
    public func drain(for patience: Duration = .seconds(10)) async -> DrainResult { await engine.drain(for: patience) }
}
