public import MintCache

extension Cache {
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
    ///   - ttl: how long a value is fresh; any positive duration. Where no policy says otherwise, five minutes.
    ///   - staleFor: how long after that it may be served while someone recomputes it; zero for never.
    ///   - leaseFor: how long a loader may take before its lease has to be prolonged: longer than it usually takes.
    ///   - refresh: whether the caller that finds a value stale waits for the new one.
    ///   - groups: the groups of every result; invalidating any of them invalidates the result. Their order does not
    ///     matter.
    ///   - nilFor: how long a `nil` is fresh. Without it, `nil` is not cached.
    ///   - policy: all other options, in place of the cache's. What is given beside it counts.
    ///   - load: the function.
    ///   - loadMany: the function of many argument lists at once, for ``CachedFunction/many(_:)``: see the article *Batches*.
    /// - Returns: a function of the same arguments. Options that cannot work end a debug build at once, unless the cache was
    ///   made with `trapsBadOptions: false`; else they are errors of its calls: ``CacheError`` with code `invalidKey`,
    ///   `invalidDuration` or `invalidConfiguration`.
    public func cached<each Argument: CacheKeyComponent, Value: Codable & Sendable>(
        _ name: String, ttl: Duration? = nil, staleFor: Duration? = nil, leaseFor: Duration? = nil,
        refresh: CachePolicy.Refresh? = nil, groups: [String] = [], nilFor: Duration? = nil,
        policy: CachePolicy? = nil, file: String = #fileID, line: UInt = #line, column: UInt = #column,
        load: @escaping @Sendable @concurrent (repeat each Argument) async throws -> Value,
        loadMany: CachedFunction<repeat each Argument, Value>.BatchLoad? = nil
    ) -> CachedFunction<repeat each Argument, Value> {
        function(
            name,
            .init(ttl: ttl, staleFor: staleFor, leaseFor: leaseFor, refresh: refresh, groups: groups, nilFor: nilFor),
            policy, at: (file, line, column), load: .init(load, in: keys),
            loadMany: loadedMany(loadMany) { LoadedValue($0) },
            codec: { defaultCodec(for: Value.self) }, isDefault: true)
    }

    /// Wraps an async function whose results a codec of your own encodes; else as
    /// ``cached(_:ttl:staleFor:leaseFor:refresh:groups:nilFor:policy:file:line:column:load:loadMany:)``.
    public func cached<each Argument: CacheKeyComponent, Value: Sendable>(
        _ name: String, ttl: Duration? = nil, staleFor: Duration? = nil, leaseFor: Duration? = nil,
        refresh: CachePolicy.Refresh? = nil, groups: [String] = [], nilFor: Duration? = nil,
        policy: CachePolicy? = nil,
        codec: any CacheCodec<Value>, file: String = #fileID, line: UInt = #line, column: UInt = #column,
        load: @escaping @Sendable @concurrent (repeat each Argument) async throws -> Value,
        loadMany: CachedFunction<repeat each Argument, Value>.BatchLoad? = nil
    ) -> CachedFunction<repeat each Argument, Value> {
        function(
            name,
            .init(ttl: ttl, staleFor: staleFor, leaseFor: leaseFor, refresh: refresh, groups: groups, nilFor: nilFor),
            policy, at: (file, line, column), load: .init(load, in: keys),
            loadMany: loadedMany(loadMany) { LoadedValue($0) }, codec: { codec }, isDefault: false)
    }

    /// Wraps an async function whose results say themselves how they are cached: for how long, in which groups, or not at all.
    /// Else as ``cached(_:ttl:staleFor:leaseFor:refresh:groups:nilFor:policy:file:line:column:load:loadMany:)``.
    ///
    /// ```swift
    /// let token = cache.cached("token") { (user: Int) in
    ///     let token = try await login(user)
    ///     return Cached(token, ttl: token.lifetime - .seconds(10), groups: ["tenant:\(token.tenant)"])
    /// }
    /// ```
    public func cached<each Argument: CacheKeyComponent, Value: Codable & Sendable>(
        _ name: String, ttl: Duration? = nil, staleFor: Duration? = nil, leaseFor: Duration? = nil,
        refresh: CachePolicy.Refresh? = nil, groups: [String] = [], nilFor: Duration? = nil,
        policy: CachePolicy? = nil, file: String = #fileID, line: UInt = #line, column: UInt = #column,
        load: @escaping @Sendable @concurrent (repeat each Argument) async throws -> Cached<Value>,
        loadMany: CachedFunction<repeat each Argument, Value>.DecidingBatchLoad? = nil
    ) -> CachedFunction<repeat each Argument, Value> {
        function(
            name,
            .init(ttl: ttl, staleFor: staleFor, leaseFor: leaseFor, refresh: refresh, groups: groups, nilFor: nilFor),
            policy, at: (file, line, column), load: .init(deciding: load, in: keys),
            loadMany: loadedMany(loadMany) { [keys] in try $0.loaded(in: keys) },
            codec: { defaultCodec(for: Value.self) }, isDefault: true)
    }

    /// The same with a codec of your own.
    public func cached<each Argument: CacheKeyComponent, Value: Sendable>(
        _ name: String, ttl: Duration? = nil, staleFor: Duration? = nil, leaseFor: Duration? = nil,
        refresh: CachePolicy.Refresh? = nil, groups: [String] = [], nilFor: Duration? = nil,
        policy: CachePolicy? = nil,
        codec: any CacheCodec<Value>, file: String = #fileID, line: UInt = #line, column: UInt = #column,
        load: @escaping @Sendable @concurrent (repeat each Argument) async throws -> Cached<Value>,
        loadMany: CachedFunction<repeat each Argument, Value>.DecidingBatchLoad? = nil
    ) -> CachedFunction<repeat each Argument, Value> {
        function(
            name,
            .init(ttl: ttl, staleFor: staleFor, leaseFor: leaseFor, refresh: refresh, groups: groups, nilFor: nilFor),
            policy, at: (file, line, column), load: .init(deciding: load, in: keys),
            loadMany: loadedMany(loadMany) { [keys] in try $0.loaded(in: keys) }, codec: { codec }, isDefault: false)
    }

    /// Where `cached` is called again and again, in a computed property, say, only the function itself is new.
    private func function<each Argument: CacheKeyComponent, Value: Sendable>(
        _ name: String, _ terms: FunctionTerms, _ policy: CachePolicy?,
        at position: (file: String, line: UInt, column: UInt), load: CachedFunction<repeat each Argument, Value>.Load,
        loadMany: (
            @Sendable @concurrent ([(repeat each Argument)]) async throws -> [Result<LoadedValue<Value>, any Error>?]
        )?,
        codec makeCodec: () -> any CacheCodec<Value>, isDefault: Bool
    ) -> CachedFunction<repeat each Argument, Value> {
        var arguments: [ObjectIdentifier] = []
        for type in repeat (each Argument).self { arguments.append(ObjectIdentifier(type)) }
        let function = FunctionRegistry.Function(
            arguments: arguments, value: ObjectIdentifier(Value.self), file: position.file, line: position.line,
            column: position.column)
        // Policies and codecs cannot be compared.
        let canBeModel = policy == nil && isDefault
        if canBeModel, let model = functions.model(of: function, named: name, terms) {
            if let model = model as? CachedFunction<repeat each Argument, Value> {
                return model.loading(load, loadMany)
            }
        }
        enter(function, named: name)
        let limitsLoads = policy != nil
        let policy = terms.merged(into: policy ?? self.policy)
        let head = Result { () throws(CacheError) in try keys.head(ofFunction: name) }
        let parts = functions.parts(of: function, named: name)
        let options = Result { () throws(CacheError) in
            try parts.options { before throws(CacheError) in
                try CacheOptions(
                    function: name, policy: policy, groups: terms.groups, limitsLoads: limitsLoads, like: before,
                    in: keys)
            }
        }
        if trapsBadOptions {
            Self.trap(head, "\(position.file):\(position.line)")
            Self.trap(options, "\(position.file):\(position.line), the cached function '\(name)'")
        }
        let groups = (try? options.get())?.groups ?? []
        let values = parts.values(in: groups) {
            FunctionValues<Value>(decoded: DecodedFunction(in: decoded, groups: groups), checks: checksCodecs)
        }
        let codec = makeCodec()
        let coder: @Sendable (CachePolicy) -> any PayloadCoder<Value> = { policy in
            EntryCoder(codec: codec, policy: policy, decoded: values.decoded, check: values.check)
        }
        let made = CachedFunction<repeat each Argument, Value>(
            engine: engine, head: head,
            otherHeads: Result { () throws(CacheError) in try keys.otherHeads(ofFunction: name) },
            options: options, coder: coder(policy), load: load, loadMany: loadMany, withPolicy: coder)
        if canBeModel { functions.keep(made.loading(.init(in: keys), nil), modelOf: function, named: name, terms) }
        return made
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
}

/// A loader of many that returns what another one does, in the engine's terms.
private func loadedMany<Lists, Returned: Sendable, Value: Sendable>(
    _ many: (@Sendable @concurrent (Lists) async throws -> [Returned?])?,
    _ loaded: @escaping @Sendable (Returned) throws -> LoadedValue<Value>
) -> (@Sendable @concurrent (Lists) async throws -> [Result<LoadedValue<Value>, any Error>?])? {
    guard let many else { return nil }
    return { lists in
        var values: [Result<LoadedValue<Value>, any Error>?] = []
        // What is wrong with one is that one's error.
        for value in try await many(lists) { values.append(value.map { value in .init { try loaded(value) } }) }
        return values
    }
}
