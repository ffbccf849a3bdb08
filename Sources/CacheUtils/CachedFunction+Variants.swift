public import MintCache

/// The same function with other options, groups or keys.
extension CachedFunction {
    // MARK: Groups by arguments

    @usableFromInline var hasGroupsOfArguments: Bool { argumentGroups != nil }

    @usableFromInline
    func entry(_ key: StoreKey, _ arguments: repeat each Argument) throws -> CacheEntry {
        let groups = try argumentGroups?.all(repeat each arguments).map { try load.keys.key(ofGroup: $0) } ?? []
        return try options.get().entry(key, groups: groups)
    }

    /// Each by a call of its own, since their groups differ, sixteen at a time.
    @usableFromInline
    func valuesOneByOne(of argumentLists: [(repeat each Argument)]) async throws -> BatchValues<Value> {
        try await withThrowingTaskGroup(of: (Int, Result<Value, any Error>).self) { group in
            var results = [Result<Value, any Error>](
                repeating: .failure(CancellationError()), count: argumentLists.count)
            for number in argumentLists.indices {
                if number >= 16, let (number, result) = try await group.next() { results[number] = result }
                group.addTask {
                    do { return (number, .success(try await call(of: argumentLists, number))) } catch {
                        return (number, .failure(error))
                    }
                }
            }
            for try await (number, result) in group { results[number] = result }
            try Task.checkCancellation()
            return BatchValues(results)
        }
    }

    private func call(of argumentLists: [(repeat each Argument)], _ number: Int) async throws -> Value {
        let arguments = argumentLists[number]
        return try await callAsFunction(repeat each arguments)
    }

    // MARK: The same function otherwise

    /// The same function with other options, for a call that wants something else: what is cached is the same.
    ///
    /// ```swift
    /// let paris = try await city.with { $0.staleFor = .zero }("paris")
    /// ```
    ///
    /// How many loads may run stays as it was: that is of the function and the cache.
    ///
    /// - Returns: the function; keep it where it is called often. Options that cannot work are errors of its calls, with code
    ///   `invalidDuration` or `invalidConfiguration`.
    public func with(_ change: (inout CachePolicy) -> Void) -> CachedFunction {
        var function = self
        function.options = options.flatMap { options in
            var policy = options.policy
            change(&policy)
            return Result { () throws(CacheError) in try options.with(policy) }
        }
        if let policy = try? function.options.get().policy { function.coder = withPolicy(policy) }
        return function
    }

    /// The same function with groups that depend on its arguments, besides those that it has.
    ///
    /// ```swift
    /// let city = cache.cached("City.get", ttl: .seconds(86_400)) { (slug: String, country: String) in
    ///     try await database.city(slug, country)
    /// }
    /// .grouped { slug, country in ["country:\(country)"] }
    /// try await cache.invalidate(group: "country:fr")
    /// ```
    ///
    /// They are known before anything is loaded, so a hit is one exchange, as with other groups. ``many(_:)`` calls such a
    /// function for each argument list by itself, sixteen at a time, and has no use for its `loadMany`.
    ///
    /// - Parameter groups: the same groups for the same arguments in every process. A group without a name is an error of the
    ///   call, with code `invalidKey`.
    public func grouped(by groups: @escaping @Sendable (repeat each Argument) -> [String]) -> CachedFunction {
        var function = self
        function.argumentGroups = ArgumentGroups(before: argumentGroups, of: groups)
        return function
    }

    /// The same function with one more part in its keys, before its arguments: what the function depends on besides them.
    ///
    /// ```swift
    /// extension User {
    ///     var profile: CachedFunction<Profile> { cache.cached("User.profile") { try await load() }.keyed(by: id) }
    /// }
    /// ```
    public func keyed(by component: some CacheKeyComponent) -> CachedFunction {
        var function = self
        function.head = head.flatMap { head in
            Result { () throws(CacheError) in try CacheKeyBuilder.head(head, with: component) }
        }
        function.otherHeads = otherHeads.flatMap { heads in
            Result { () throws(CacheError) in
                var keyed: [[UInt8]] = []
                for head in heads { keyed.append(try CacheKeyBuilder.head(head, with: component)) }
                return keyed
            }
        }
        return function
    }
}
