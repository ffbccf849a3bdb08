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

    /// Makes a cache.
    ///
    /// - Parameters:
    ///   - store: where values are kept.
    ///   - namespace: the application. Caches in different namespaces share nothing.
    ///   - version: the version of what is cached: raise it when a release changes what the cached functions return,
    ///     and old and new processes run side by side without seeing each other's values.
    ///   - clock: what freshness and leases are counted by.
    ///   - observer: is told everything that happens, for statistics and metrics.
    ///   - logger: values that could not be cached are logged as warnings, store trouble at debug level, keys only at
    ///     trace level.
    ///
    /// An empty namespace, or one that with the version takes more than 128 bytes of a key, is an error with code
    /// `invalidKey` of every call.
    public init(
        store: any CacheStore, namespace: String, version: String = "1", clock: any CacheClock = SystemClock(),
        observer: (any CacheObserver)? = nil, logger: Logger = Logger(label: "swift-cache-utils")
    ) {
        keys = KeySpace(namespace: namespace, version: version)
        engine = ReadThroughCache(
            store: store, clock: clock, observer: LoggingObserver(logger: logger, next: observer))
    }

    // MARK: Cached functions

    /// Wraps an async function, so that its results are cached.
    ///
    /// The function can be a closure, a global or static function, or a method of a value: what it is bound to plays
    /// no part in its keys.
    ///
    /// - Parameters:
    ///   - name: what the keys begin with; no two functions in a namespace may have the same. `"City.get"`, say.
    ///   - ttl: how long a value is fresh; any positive duration.
    ///   - staleFor: how long after that it may be served while someone recomputes it; zero for never.
    ///   - leaseFor: how long a loader may take. Others wait for it that long, then load for themselves.
    ///   - refresh: whether the caller that finds a value stale waits for the new one.
    ///   - groups: the groups of every result; invalidating any of them invalidates the result.
    ///   - nilFor: how long a `nil` is fresh. Without it, `nil` is not cached.
    ///   - load: the function.
    /// - Returns: a function of the same arguments. Bad options are errors of its calls: ``CacheError`` with code
    ///   `invalidKey` or `invalidDuration`.
    public func cached<each Argument: CacheKeyComponent, Value: Codable & Sendable>(
        _ name: String, ttl: Duration, staleFor: Duration = .seconds(30), leaseFor: Duration = .seconds(30),
        refresh: CachePolicy.Refresh = .background, groups: [String] = [], nilFor: Duration? = nil,
        load: @escaping @Sendable @concurrent (repeat each Argument) async throws -> Value
    ) -> CachedFunction<repeat each Argument, Value> {
        cached(
            name, ttl: ttl, staleFor: staleFor, leaseFor: leaseFor, refresh: refresh, groups: groups, nilFor: nilFor,
            codec: defaultCodec(for: Value.self), load: load)
    }

    /// Wraps an async function whose results a codec of your own encodes; else as
    /// ``cached(_:ttl:staleFor:leaseFor:refresh:groups:nilFor:load:)``.
    public func cached<each Argument: CacheKeyComponent, Value: Sendable>(
        _ name: String, ttl: Duration, staleFor: Duration = .seconds(30), leaseFor: Duration = .seconds(30),
        refresh: CachePolicy.Refresh = .background, groups: [String] = [], nilFor: Duration? = nil,
        codec: any CacheCodec<Value>,
        load: @escaping @Sendable @concurrent (repeat each Argument) async throws -> Value
    ) -> CachedFunction<repeat each Argument, Value> {
        CachedFunction(
            engine: engine,
            head: Result { () throws(CacheError) in try keys.head(ofFunction: name) },
            options: Result { () throws(CacheError) in
                try CacheOptions(
                    ttl: ttl, policy: CachePolicy(staleFor: staleFor, leaseFor: leaseFor, refresh: refresh),
                    groups: groups, nilFor: nilFor, in: keys)
            },
            coder: EntryCoder(codec: codec, ttl: ttl, nilFor: nilFor, keepsDecoded: true),
            load: load)
    }

    // MARK: Values by key

    /// The value that is cached under a key, or else the loader's, which is cached. The options are those of
    /// ``cached(_:ttl:staleFor:leaseFor:refresh:groups:nilFor:load:)``.
    ///
    /// - Throws: the loader's error; `CancellationError` as soon as the task is cancelled; ``CacheError`` with code
    ///   `invalidKey` or `invalidDuration` for bad options.
    public func value<Value: Codable & Sendable>(
        forKey key: String, ttl: Duration, staleFor: Duration = .seconds(30), leaseFor: Duration = .seconds(30),
        refresh: CachePolicy.Refresh = .background, groups: [String] = [], nilFor: Duration? = nil,
        load: @escaping @Sendable @concurrent () async throws -> Value
    ) async throws -> Value {
        try await value(
            forKey: key, ttl: ttl, staleFor: staleFor, leaseFor: leaseFor, refresh: refresh, groups: groups,
            nilFor: nilFor, codec: defaultCodec(for: Value.self), load: load)
    }

    /// The value that is cached under a key, or else the loader's, for values that a codec of your own encodes.
    public func value<Value: Sendable>(
        forKey key: String, ttl: Duration, staleFor: Duration = .seconds(30), leaseFor: Duration = .seconds(30),
        refresh: CachePolicy.Refresh = .background, groups: [String] = [], nilFor: Duration? = nil,
        codec: any CacheCodec<Value>, load: @escaping @Sendable @concurrent () async throws -> Value
    ) async throws -> Value {
        let options = try CacheOptions(
            ttl: ttl, policy: CachePolicy(staleFor: staleFor, leaseFor: leaseFor, refresh: refresh), groups: groups,
            nilFor: nilFor, in: keys)
        let coder = EntryCoder(codec: codec, ttl: ttl, nilFor: nilFor, keepsDecoded: false)
        return try await engine.value(of: options.entry(keys.key(named: key)), coder, load: load)
    }
}
