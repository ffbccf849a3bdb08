import MintCache

/// An async function whose results are cached. `Cache` makes it from any function.
///
/// All its methods take the argument list of the function. The same arguments have the same key in every process.
/// What is written differently has different keys, even where Swift takes it for equal: `0.0` and `-0.0`, or "é" in
/// its composed and decomposed forms.
public struct CachedFunction<each Argument: CacheKeyComponent, Value: Sendable>: Sendable {
    /// The function of many argument lists at once: it returns a value for each, in their order, and `nil` for those that
    /// there is none of.
    public typealias BatchLoad =
        @Sendable @concurrent (_ argumentLists: [(repeat each Argument)]) async throws -> [Value?]

    /// The same for a function whose results say themselves how they are cached.
    public typealias DecidingBatchLoad =
        @Sendable @concurrent (_ argumentLists: [(repeat each Argument)]) async throws -> [Cached<Value>?]

    typealias LoadMany =
        @Sendable @concurrent (_ argumentLists: [(repeat each Argument)]) async throws -> [Result<
            LoadedValue<Value>, any Error
        >?]

    /// The function itself, of one kind or the other. An enum cannot be generic in a pack.
    @usableFromInline
    struct Load: Sendable {
        private var plain: (@Sendable @concurrent (repeat each Argument) async throws -> Value)?
        private var deciding: (@Sendable @concurrent (repeat each Argument) async throws -> Cached<Value>)?
        let keys: KeySpace

        init(
            _ load: @escaping @Sendable @concurrent (repeat each Argument) async throws -> Value, in keys: KeySpace
        ) {
            plain = load
            self.keys = keys
        }

        init(
            deciding load: @escaping @Sendable @concurrent (repeat each Argument) async throws -> Cached<Value>,
            in keys: KeySpace
        ) {
            deciding = load
            self.keys = keys
        }

        /// None, for a function that is kept as a model of others.
        init(in keys: KeySpace) { self.keys = keys }

        func callAsFunction(_ arguments: repeat each Argument) async throws -> LoadedValue<Value> {
            if let deciding { return try await deciding(repeat each arguments).loaded(in: keys) }
            guard let plain else { preconditionFailure("a model of functions cannot be called") }
            return LoadedValue(try await plain(repeat each arguments))
        }
    }

    // Calls and keys are inlinable up to the engine: where the types of the arguments are known, no packs of their
    // metadata are made for each call. Calls always are: one frame less in the memory of each task that waits.

    @usableFromInline let engine: ReadThroughCache
    /// What the keys begin with.
    @usableFromInline var head: Result<[UInt8], CacheError>
    /// The same in the other versions whose values are invalidated too.
    var otherHeads: Result<[[UInt8]], CacheError>
    @usableFromInline var options: Result<CacheOptions, CacheError>
    @usableFromInline var coder: any PayloadCoder<Value>
    @usableFromInline var load: Load
    var loadMany: LoadMany?
    var withPolicy: @Sendable (CachePolicy) -> any PayloadCoder<Value>
    /// The groups of a result besides the function's, by its arguments.
    var argumentGroups: ArgumentGroups?

    // A variadic function by itself cannot be optional.
    struct ArgumentGroups: Sendable {
        private let before: [ArgumentGroups]
        private let of: @Sendable (repeat each Argument) -> [String]

        init(before: ArgumentGroups?, of groups: @escaping @Sendable (repeat each Argument) -> [String]) {
            self.before = before.map { [$0] } ?? []
            of = groups
        }

        func all(_ arguments: repeat each Argument) -> [String] {
            var all = of(repeat each arguments)
            for groups in before { all += groups.all(repeat each arguments) }
            return all
        }
    }

    init(
        engine: ReadThroughCache, head: Result<[UInt8], CacheError>, otherHeads: Result<[[UInt8]], CacheError>,
        options: Result<CacheOptions, CacheError>, coder: any PayloadCoder<Value>, load: Load, loadMany: LoadMany?,
        withPolicy: @escaping @Sendable (CachePolicy) -> any PayloadCoder<Value>
    ) {
        self.engine = engine
        self.head = head
        self.otherHeads = otherHeads
        self.options = options
        self.coder = coder
        self.load = load
        self.loadMany = loadMany
        self.withPolicy = withPolicy
    }

    /// The same with another function to be cached.
    func loading(_ load: Load, _ loadMany: LoadMany?) -> CachedFunction {
        var function = self
        (function.load, function.loadMany) = (load, loadMany)
        return function
    }

    /// The cached result, or else the function's, which is cached.
    ///
    /// A call shares the load of another call with the same arguments, in this process or in the fleet, unless that
    /// load may have begun before an invalidation that this call began after.
    ///
    /// It returns when the result has been computed; storing it goes on in the background.
    ///
    /// - Throws: the function's error, which is not cached; `CancellationError` as soon as the task is cancelled;
    ///   ``CacheError`` with code `invalidKey` or `invalidDuration` when the options or arguments cannot be used, with
    ///   `reentrantLoad` inside a function that needs its own result, with `recentFailure` where errors are shared, with
    ///   `tooManyLoads` or `loadTimeout` where loads are bounded.
    @inlinable @inline(__always)
    public func callAsFunction(_ arguments: repeat each Argument) async throws -> Value {
        try await engine.value(of: entry(repeat each arguments), coder, load: loader(repeat each arguments))
    }

    /// As a call, and where the answer is from: how old it is, for how long it is fresh, whether it is stale.
    ///
    /// - Throws: as ``callAsFunction(_:)``.
    public func answer(_ arguments: repeat each Argument) async throws -> Answer<Value> {
        let (value, provenance) = try await engine.answer(
            of: entry(repeat each arguments), coder, load: loader(repeat each arguments))
        return Answer(
            value: value, source: provenance.source, isStale: provenance.isStale, age: provenance.age,
            freshFor: provenance.freshFor)
    }

    /// The cached results of many argument lists, or else the function's, which are cached: each as by a call of its own,
    /// and all at the same time. See the article *Batches*.
    ///
    /// What is cached comes in one round trip to each server; `loadMany` of ``Cache/cached(_:ttl:staleFor:leaseFor:refresh:groups:nilFor:policy:file:line:column:load:loadMany:)``
    /// is called once for all that is not cached and that nobody else is loading. Without it the function is called for
    /// each, for sixteen at a time.
    ///
    /// - Returns: the results in the order of the argument lists. One that is there twice is computed once.
    /// - Throws: the error of the first in that order that has one, as ``callAsFunction(_:)`` does, when all have ended;
    ///   ``CacheError`` with code `incompleteBatch` for one that `loadMany` had no value of.
    @inlinable
    public func many(_ argumentLists: [(repeat each Argument)]) async throws -> [Value] {
        try await values(of: argumentLists).get()
    }

    /// The same as ``many(_:)``, but what each has come to: an error is for those that it concerns.
    ///
    /// - Throws: `CancellationError` as soon as the task is cancelled; ``CacheError`` with code `invalidKey` or
    ///   `invalidDuration` when the options or arguments cannot be used.
    @inlinable
    public func manyResults(_ argumentLists: [(repeat each Argument)]) async throws -> [Result<Value, any Error>] {
        try await values(of: argumentLists).results
    }

    @inlinable
    func values(of argumentLists: [(repeat each Argument)]) async throws -> BatchValues<Value> {
        var keys: [StoreKey] = []
        keys.reserveCapacity(argumentLists.count)
        for arguments in argumentLists { keys.append(try key(repeat each arguments)) }
        return try await engine.values(
            of: entries(keys, of: argumentLists), coder, load: batchLoader(of: argumentLists))
    }

    @usableFromInline
    func batchLoader(of argumentLists: [(repeat each Argument)]) -> BatchLoader<Value> {
        let many = loadMany
        guard let many else { return BatchLoader(one: { load(of: argumentLists, $0) }, many: nil) }
        return BatchLoader(
            one: { load(of: argumentLists, $0) },
            many: { numbers in try await many(numbers.map { argumentLists[$0] }) })
    }

    private func load(of argumentLists: [(repeat each Argument)], _ number: Int) -> ReadThroughCache.Loader<Value> {
        let arguments = argumentLists[number]
        return loader(repeat each arguments)
    }

    /// The result of a run of the function that begins after this call did, whatever is cached. It is stored when this
    /// returns, and nobody gets an older one from then on; if the store does not take it, what was cached is removed
    /// instead, which is repeated until it succeeds.
    ///
    /// A cached result goes on being served to others meanwhile. One refresh runs at a time, in the fleet, and is
    /// shared by all that were called before it began.
    ///
    /// - Throws: as ``callAsFunction(_:)``; then what was cached is cached still.
    @discardableResult
    public func refresh(_ arguments: repeat each Argument) async throws -> Value {
        try await engine.refresh(entry(repeat each arguments), coder, load: loader(repeat each arguments))
    }

    /// What is cached for these arguments, fresh or stale, without calling the function; `nil` when nothing is, or
    /// when the store cannot be asked.
    ///
    /// - Throws: `CancellationError` as soon as the task is cancelled; ``CacheError`` with code `invalidKey` or
    ///   `invalidDuration` when the options or arguments cannot be used.
    public func peek(_ arguments: repeat each Argument) async throws -> Value? {
        try await engine.peek(entry(repeat each arguments), coder)
    }

    /// Removes the cached result of exactly these arguments, in this version and in those that `invalidatesAlso` of the
    /// cache names. A call that begins after this returned gets no result that was being computed before.
    ///
    /// - Parameter window: for how long a replica that the function may read from can lag behind. What is loaded in that
    ///   time is fresh until its end at most, and not served stale after, so that what a lagging replica said does not
    ///   stay; the function can ask ``CacheLoad/isSettling``. A later invalidation without a window ends it.
    /// - Throws: the store's error, with code `unavailable`, `timeout`, `storeFailure` or `shutDown` for memcached:
    ///   then the result may still be cached. This process takes it for invalid from then on, and repeats the
    ///   invalidation until it succeeds (``Cache/pendingInvalidations``): other processes may be served it until then.
    ///   `CancellationError` as soon as the task is cancelled; the invalidation is sent all the same. ``CacheError`` with code `invalidKey`, or `invalidDuration`
    ///   for a negative window.
    public func invalidate(_ arguments: repeat each Argument, settlingFor window: Duration = .zero) async throws {
        try await engine.invalidate(targets(keys(repeat each arguments)), settlingFor: checked(window))
    }

    /// Removes the cached results of several argument lists, each as ``invalidate(_:settlingFor:)`` does, all at the same time.
    ///
    /// - Throws: when all have ended, as ``invalidate(_:settlingFor:)``, with the store keys of what failed in ``CacheError/keys``.
    public func invalidate(many argumentLists: [(repeat each Argument)], settlingFor window: Duration = .zero)
        async throws
    {
        try await engine.invalidate(targets(keys(of: argumentLists)), settlingFor: checked(window))
    }

    /// Has the cached result of exactly these arguments be stale from now on: it may be served for as long as `staleFor`
    /// says, while one caller in the fleet refreshes it. A call that begins after this returned gets no result as fresh
    /// that was being computed before. What was invalidated stays so.
    ///
    /// - Throws: the errors of ``invalidate(_:settlingFor:)``; then it is to be repeated, which nobody does by himself.
    public func expire(_ arguments: repeat each Argument) async throws {
        try await engine.expire(targets(keys(repeat each arguments)), policy: options.get().policy)
    }

    /// Expires the cached results of several argument lists, each as ``expire(_:)`` does, all at the same time.
    ///
    /// - Throws: when all have ended, as ``invalidate(many:settlingFor:)``.
    public func expire(many argumentLists: [(repeat each Argument)]) async throws {
        try await engine.expire(targets(keys(of: argumentLists)), policy: options.get().policy)
    }

    /// The name, for events.
    var name: String { (try? options.get().function) ?? "" }

    private func targets(_ keys: [StoreKey]) -> [InvalidationTarget] { keys.map { .value($0, of: name) } }

    private func keys(of argumentLists: [(repeat each Argument)]) throws -> [StoreKey] {
        var all: [StoreKey] = []
        for arguments in argumentLists { all += try keys(repeat each arguments) }
        return all
    }

    /// The store key of the call with these arguments.
    ///
    /// - Throws: ``CacheError`` with code `invalidKey`.
    @inlinable
    public func key(_ arguments: repeat each Argument) throws -> StoreKey {
        try key(repeat each arguments, under: head.get())
    }

    /// The keys of the call in all versions that are invalidated together.
    func keys(_ arguments: repeat each Argument) throws -> [StoreKey] {
        var keys = [try key(repeat each arguments)]
        for head in try otherHeads.get() { keys.append(try key(repeat each arguments, under: head)) }
        return keys
    }

    @inlinable @inline(__always)
    func key(_ arguments: repeat each Argument, under head: [UInt8]) throws -> StoreKey {
        var builder = CacheKeyBuilder(head: head)
        var isFirst = true
        for argument in repeat each arguments {
            if !isFirst { builder.separate() }
            isFirst = false
            builder.element(argument)
        }
        return try builder.key()
    }

    @usableFromInline
    func loader(_ arguments: repeat each Argument) -> ReadThroughCache.Loader<Value> {
        { [load] in try await load(repeat each arguments) }
    }

    // Not inlined: all that it needs would be kept in the frame of the caller, which is in its task's memory.
    @inlinable @inline(never)
    func entry(_ arguments: repeat each Argument) throws -> CacheEntry {
        let key = try key(repeat each arguments)
        if hasGroupsOfArguments { return try entry(key, repeat each arguments) }
        return try options.get().entry(key)
    }
}
