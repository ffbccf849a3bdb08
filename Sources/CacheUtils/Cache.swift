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
    private let decoded: DecodedValues

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
    ///   - observer: is told everything that happens, for statistics and metrics.
    ///   - logger: store trouble is logged at debug level, keys only at trace level.
    ///   - troubleLevel: at which level to log what goes wrong for ever if nobody mends it: calls that always miss for
    ///     the same reason, values that cannot be cached, loads that outlast their leases. A line a minute at most for
    ///     each function and reason; `nil` for none.
    ///   - background: what background refreshes take over of the task-local values of the calls that begin them.
    ///   - checksCodecs: whether each value that is cached is compared with what its codec makes of it, which is told
    ///     once for each function; only in debug builds unless it is set.
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
    /// An empty namespace, or one that with the version takes more than 128 bytes of a key, is an error with code
    /// `invalidKey` of every call.
    public init(
        store: any CacheStore, namespace: String, version: String = "1", invalidatesAlso: [String] = [],
        firstEditionVersions: [String] = [], canInvalidateAll: Bool = false, warmGroupCount: Int = 0,
        policy: CachePolicy = CachePolicy(),
        clock: any CacheClock = SystemClock(), observer: (any CacheObserver)? = nil,
        logger: Logger = Logger(label: "swift-cache-utils"), troubleLevel: Logger.Level? = .warning,
        background: BackgroundContext = .none, checksCodecs: Bool = Self.isDebugBuild, decodedCapacity: Int = 64 << 20,
        isDisabled: Bool = Self.isDisabledByEnvironment, repeatsInvalidationsFor: Duration = .seconds(86_400)
    ) {
        keys = KeySpace(
            namespace: namespace, version: version, others: invalidatesAlso, firstEdition: firstEditionVersions,
            canInvalidateAll: canInvalidateAll)
        self.policy = policy
        self.checksCodecs = checksCodecs
        let decoded = DecodedValues(capacity: decodedCapacity, clock: clock)
        self.decoded = decoded
        engine = ReadThroughCache(
            store: store, clock: clock,
            observer: LoggingObserver(logger: logger, troubleLevel: troubleLevel, clock: clock, next: observer),
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
    }

    /// A cache that caches nothing: every call is its loader's, and invalidating does nothing.
    public static let disabled = Cache(store: InMemoryStore(capacity: 0), namespace: "disabled", isDisabled: true)

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

    // MARK: Cached functions

    /// Wraps an async function, so that its results are cached.
    ///
    /// The function can be a closure, a global or static function, or a method of a value: what it is bound to plays
    /// no part in its keys.
    ///
    /// A run of the function may serve many calls, in this process and in others:
    ///
    /// - It runs in a task of its own, which is not cancelled when the caller is, but when its lease is over and nobody
    ///   waits for it any more; a background refresh is not, nor a load that began without a lease. That task has the caller's task-local
    ///   values, its priority or that of a more urgent caller who waits, and prefers the caller's executor (with Swift
    ///   6.3 or newer). A background refresh may outlive the caller's request, and has only the task-local values that
    ///   `background` of the cache takes over.
    /// - It must not block its thread: a few that do keep all tasks of the process from going on, those that have hits
    ///   too. Give blocking work an executor of its own, and call from a task that prefers it.
    /// - It must not need its own value: such a call is an error with code `reentrantLoad`, at once, also through other
    ///   cached functions, and so is one in a task that the function has started and that is not over before it is. A
    ///   value that is cached is served all the same.
    /// - Its result must not depend on who calls: on the user of a request, say. What it depends on is an argument.
    ///
    /// - Parameters:
    ///   - name: what the keys begin with; no two functions in a namespace may have the same, which is logged as an
    ///     error. `"City.get"`, say.
    ///   - ttl: how long a value is fresh; any positive duration.
    ///   - staleFor: how long after that it may be served while someone recomputes it; zero for never.
    ///   - leaseFor: how long a loader may take before its lease has to be prolonged: longer than it usually takes.
    ///   - refresh: whether the caller that finds a value stale waits for the new one.
    ///   - groups: the groups of every result; invalidating any of them invalidates the result. Their order does not
    ///     matter.
    ///   - nilFor: how long a `nil` is fresh. Without it, `nil` is not cached.
    ///   - policy: all other options, in place of the cache's. What is given beside it counts.
    ///   - load: the function.
    ///   - loadMany: the function of many argument lists at once, for ``CachedFunction/many(_:)``: see the article *Batches*.
    /// - Returns: a function of the same arguments. Bad options are errors of its calls: ``CacheError`` with code
    ///   `invalidKey` or `invalidDuration`.
    public func cached<each Argument: CacheKeyComponent, Value: Codable & Sendable>(
        _ name: String, ttl: Duration, staleFor: Duration? = nil, leaseFor: Duration? = nil,
        refresh: CachePolicy.Refresh? = nil, groups: [String] = [], nilFor: Duration? = nil,
        policy: CachePolicy? = nil, file: String = #fileID, line: UInt = #line, column: UInt = #column,
        load: @escaping @Sendable @concurrent (repeat each Argument) async throws -> Value,
        loadMany: CachedFunction<repeat each Argument, Value>.BatchLoad? = nil
    ) -> CachedFunction<repeat each Argument, Value> {
        cached(
            name, ttl: ttl, staleFor: staleFor, leaseFor: leaseFor, refresh: refresh, groups: groups, nilFor: nilFor,
            policy: policy, codec: defaultCodec(for: Value.self), file: file, line: line, column: column, load: load,
            loadMany: loadMany)
    }

    /// Wraps an async function whose results a codec of your own encodes; else as
    /// ``cached(_:ttl:staleFor:leaseFor:refresh:groups:nilFor:policy:file:line:column:load:loadMany:)``.
    public func cached<each Argument: CacheKeyComponent, Value: Sendable>(
        _ name: String, ttl: Duration, staleFor: Duration? = nil, leaseFor: Duration? = nil,
        refresh: CachePolicy.Refresh? = nil, groups: [String] = [], nilFor: Duration? = nil,
        policy: CachePolicy? = nil, codec: any CacheCodec<Value>,
        file: String = #fileID, line: UInt = #line, column: UInt = #column,
        load: @escaping @Sendable @concurrent (repeat each Argument) async throws -> Value,
        loadMany: CachedFunction<repeat each Argument, Value>.BatchLoad? = nil
    ) -> CachedFunction<repeat each Argument, Value> {
        var arguments: [ObjectIdentifier] = []
        for type in repeat (each Argument).self { arguments.append(ObjectIdentifier(type)) }
        let function = FunctionRegistry.Function(
            arguments: arguments, value: ObjectIdentifier(Value.self), file: file, line: line, column: column)
        enter(function, named: name)
        let options = Result { () throws(CacheError) in
            try CacheOptions(
                function: name, ttl: ttl, policy: merged(policy, staleFor, leaseFor, refresh), groups: groups,
                nilFor: nilFor, limitsLoads: policy != nil, in: keys)
        }
        let decoded = DecodedFunction<Value>(in: decoded, groups: (try? options.get())?.groups ?? [])
        return CachedFunction(
            engine: engine,
            head: Result { () throws(CacheError) in try keys.head(ofFunction: name) },
            otherHeads: Result { () throws(CacheError) in try keys.otherHeads(ofFunction: name) },
            options: options,
            coder: EntryCoder(codec: codec, ttl: ttl, nilFor: nilFor, decoded: decoded, checks: checksCodecs),
            load: load, loadMany: loadMany)
    }

    private func enter(_ function: FunctionRegistry.Function, named name: String) {
        // The key of no arguments stands for all of the function's.
        guard let error = functions.enter(function, named: name), let head = try? keys.head(ofFunction: name) else {
            return
        }
        engine.report(
            CacheEvent(
                kind: .duplicateFunction, key: KeySpace.key(head + [UInt8(ascii: ")")]), function: name, error: error))
    }

    /// The options of a call: those that are given by themselves, then those of its policy, then the cache's.
    private func merged(
        _ policy: CachePolicy?, _ staleFor: Duration?, _ leaseFor: Duration?, _ refresh: CachePolicy.Refresh?
    ) -> CachePolicy {
        var policy = policy ?? self.policy
        if let staleFor { policy.staleFor = staleFor }
        if let leaseFor { policy.leaseFor = leaseFor }
        if let refresh { policy.refresh = refresh }
        return policy
    }

    // MARK: Values by key

    /// The value that is cached under a key, or else the loader's, which is cached. The options and what the loader may
    /// do are as in ``cached(_:ttl:staleFor:leaseFor:refresh:groups:nilFor:policy:file:line:column:load:loadMany:)``.
    ///
    /// - Throws: the loader's error; `CancellationError` as soon as the task is cancelled; ``CacheError`` with code
    ///   `invalidKey`, `invalidDuration` or `invalidConfiguration` for bad options, `reentrantLoad` in a loader that needs
    ///   its own value, `recentFailure` where errors are shared, `tooManyLoads` and `loadTimeout` where loads are bounded.
    public func value<Value: Codable & Sendable>(
        forKey key: String, ttl: Duration, staleFor: Duration? = nil, leaseFor: Duration? = nil,
        refresh: CachePolicy.Refresh? = nil, groups: [String] = [], nilFor: Duration? = nil,
        policy: CachePolicy? = nil, load: @escaping @Sendable @concurrent () async throws -> Value
    ) async throws -> Value {
        try await value(
            forKey: key, ttl: ttl, staleFor: staleFor, leaseFor: leaseFor, refresh: refresh, groups: groups,
            nilFor: nilFor, policy: policy, codec: defaultCodec(for: Value.self), load: load)
    }

    /// The value that is cached under a key, or else the loader's, for values that a codec of your own encodes; else as
    /// ``value(forKey:ttl:staleFor:leaseFor:refresh:groups:nilFor:policy:load:)``.
    public func value<Value: Sendable>(
        forKey key: String, ttl: Duration, staleFor: Duration? = nil, leaseFor: Duration? = nil,
        refresh: CachePolicy.Refresh? = nil, groups: [String] = [], nilFor: Duration? = nil,
        policy: CachePolicy? = nil, codec: any CacheCodec<Value>,
        load: @escaping @Sendable @concurrent () async throws -> Value
    ) async throws -> Value {
        let options = try CacheOptions(
            function: "", ttl: ttl, policy: merged(policy, staleFor, leaseFor, refresh), groups: groups, nilFor: nilFor,
            in: keys)
        let coder = EntryCoder(codec: codec, ttl: ttl, nilFor: nilFor, decoded: nil, checks: checksCodecs)
        return try await engine.value(of: options.entry(keys.key(named: key)), coder, load: load)
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
