public import MintCache

/// The same function with other options, groups or keys.
extension CachedFunction {
    // MARK: Groups by arguments

    @usableFromInline var hasGroupsOfArguments: Bool { argumentGroups != nil }

    @usableFromInline
    func entry(_ key: StoreKey, _ arguments: repeat each Argument) throws -> CacheEntry {
        let groups = argumentGroups?.all(repeat each arguments) ?? []
        return CacheEntry(key: key, options: try options(groups))
    }

    /// The entries of a batch.
    @usableFromInline
    func entries(_ keys: [StoreKey], of argumentLists: [(repeat each Argument)]) throws -> BatchEntries {
        let options = try options.get().entries
        guard let argumentGroups else { return BatchEntries(keys, options: options) }
        // Many elements of a batch tend to have the same groups.
        var known: [[String]: CacheEntry.Options] = [:]
        var each: [CacheEntry.Options] = []
        for arguments in argumentLists {
            let groups = argumentGroups.all(repeat each arguments)
            let options = try known[groups] ?? self.options(groups)
            known[groups] = options
            each.append(options)
        }
        return BatchEntries(keys, options: options, each: each)
    }

    /// The options of a result with groups besides those of its function.
    private func options(_ groups: [String]) throws -> CacheEntry.Options {
        try options.get().with(groups: groups.map { try load.keys.key(ofGroup: $0) })
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
    /// They are known before anything is loaded, so a hit is one exchange, as with other groups, and ``many(_:)`` is one for
    /// each server.
    ///
    /// - Parameter groups: the same groups for the same arguments in every process. A group without a name is an error of the
    ///   call, with code `invalidKey`.
    public func grouped(by groups: @escaping @Sendable (repeat each Argument) -> [String]) -> CachedFunction {
        var function = self
        function.argumentGroups = ArgumentGroups(before: argumentGroups, of: groups)
        return function
    }

    /// The same function whose values an audit (`CachePolicy.audit`) compares by a closure, where the loader says
    /// something else each time, like when it ran. Without it values are the same that are equal, or whose bytes are where they
    /// are not `Equatable`.
    ///
    /// ```swift
    /// let city = cache.cached("city", policy: CachePolicy(audit: CacheAudit(every: 10_000))) { (slug: String) in
    ///     try await database.city(slug)
    /// }
    /// .compared { $0.version == $1.version }
    /// ```
    public func compared(by areSame: @escaping @Sendable (Value, Value) -> Bool) -> CachedFunction {
        var function = self
        function.coder = ComparingCoder(base: coder, comparison: areSame)
        function.withPolicy = { [withPolicy] in ComparingCoder(base: withPolicy($0), comparison: areSame) }
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
