public import MintCache

extension Cache {
    /// The value that is cached under a key, or else the loader's, which is cached. The options and what the loader may
    /// do are as in ``cached(_:ttl:staleFor:leaseFor:refresh:groups:nilFor:policy:file:line:column:load:loadMany:)``.
    ///
    /// - Throws: the loader's error; `CancellationError` as soon as the task is cancelled; ``CacheError`` with code
    ///   `invalidKey`, `invalidDuration` or `invalidConfiguration` for bad options, `reentrantLoad` in a loader that needs
    ///   its own value, `recentFailure` where errors are shared, `tooManyLoads` and `loadTimeout` where loads are bounded.
    public func value<Value: Codable & Sendable>(
        forKey key: String, ttl: Duration? = nil, staleFor: Duration? = nil, leaseFor: Duration? = nil,
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
        forKey key: String, ttl: Duration? = nil, staleFor: Duration? = nil, leaseFor: Duration? = nil,
        refresh: CachePolicy.Refresh? = nil, groups: [String] = [], nilFor: Duration? = nil,
        policy: CachePolicy? = nil, codec: any CacheCodec<Value>,
        load: @escaping @Sendable @concurrent () async throws -> Value
    ) async throws -> Value {
        try await value(
            forKey: key,
            .init(ttl: ttl, staleFor: staleFor, leaseFor: leaseFor, refresh: refresh, groups: groups, nilFor: nilFor),
            policy, codec
        ) { LoadedValue(try await load()) }
    }

    /// The value that is cached under a key, or else the loader's, which says itself how it is cached; else as
    /// ``value(forKey:ttl:staleFor:leaseFor:refresh:groups:nilFor:policy:load:)``.
    public func value<Value: Codable & Sendable>(
        forKey key: String, ttl: Duration? = nil, staleFor: Duration? = nil, leaseFor: Duration? = nil,
        refresh: CachePolicy.Refresh? = nil, groups: [String] = [], nilFor: Duration? = nil,
        policy: CachePolicy? = nil, load: @escaping @Sendable @concurrent () async throws -> Cached<Value>
    ) async throws -> Value {
        try await value(
            forKey: key, ttl: ttl, staleFor: staleFor, leaseFor: leaseFor, refresh: refresh, groups: groups,
            nilFor: nilFor, policy: policy, codec: defaultCodec(for: Value.self), load: load)
    }

    /// The same with a codec of your own.
    public func value<Value: Sendable>(
        forKey key: String, ttl: Duration? = nil, staleFor: Duration? = nil, leaseFor: Duration? = nil,
        refresh: CachePolicy.Refresh? = nil, groups: [String] = [], nilFor: Duration? = nil,
        policy: CachePolicy? = nil, codec: any CacheCodec<Value>,
        load: @escaping @Sendable @concurrent () async throws -> Cached<Value>
    ) async throws -> Value {
        try await value(
            forKey: key,
            .init(ttl: ttl, staleFor: staleFor, leaseFor: leaseFor, refresh: refresh, groups: groups, nilFor: nilFor),
            policy, codec
        ) { [keys] in try await load().loaded(in: keys) }
    }

    private func value<Value: Sendable>(
        forKey key: String, _ terms: FunctionTerms, _ policy: CachePolicy?, _ codec: any CacheCodec<Value>,
        load: @escaping ReadThroughCache.Loader<Value>
    ) async throws -> Value {
        let policy = terms.merged(into: policy ?? self.policy)
        let options = try CacheOptions(function: "", policy: policy, groups: terms.groups, in: keys)
        let coder = EntryCoder(
            codec: codec, policy: policy, decoded: nil,
            check: checksCodecs ? RoundTripCheck() : nil)
        return try await engine.value(of: options.entry(keys.key(named: key)), coder, load: load)
    }
}
