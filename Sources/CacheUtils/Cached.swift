import MintCache

/// A loaded value that says how it is cached, where that is not as the options of its function say: what a function may return
/// that is handed to `cached` or `value(forKey:)` of a ``Cache``.
///
/// ```swift
/// Cached(token, ttl: token.lifetime)
/// Cached(page, groups: page.authors.map { "author:\($0)" })
/// Cached(partial, store: .no)
/// ```
///
/// **Groups** that are known only when the value is loaded cost something: a value is stored only under stamps of its groups that
/// were read before its load began, or an invalidation meanwhile could be missed. So when a load returns groups that neither
/// its function has nor the value that was cached before, their stamps are read and the loader runs once more. If that returns
/// others still, the value is returned and not stored. A hit costs one exchange with the store more than without them, and
/// callers that share the load get the value when it is stored. One that is not, as it is too large, say, is for those who came
/// before its load began, and the others load again, together. Such values are not held for when the store is away (`whenAway`).
public struct Cached<Value> {
    /// Whether a value is cached.
    public struct Storing: Sendable, Hashable {
        let isStored: Bool

        /// It is.
        public static var yes: Storing { Storing(isStored: true) }
        /// It is for the callers of this load only. What was cached before is removed.
        public static var no: Storing { Storing(isStored: false) }
    }

    /// The value.
    public var value: Value
    /// How long it is fresh; `nil` for the `ttl` of the function, or its `nilFor`. One that is zero or less is not cached: it is
    /// as with `store: .no`.
    public var ttl: Duration?
    /// How long after that it may be served while someone refreshes it, to all callers, whatever the policies of their calls say;
    /// `nil` for the `staleFor` of the function.
    public var staleFor: Duration?
    /// Groups besides those of the function.
    public var groups: [String]
    /// Whether it is cached.
    public var store: Storing

    /// Makes one.
    public init(
        _ value: Value, ttl: Duration? = nil, staleFor: Duration? = nil, groups: [String] = [], store: Storing = .yes
    ) {
        self.value = value
        self.ttl = ttl
        self.staleFor = staleFor
        self.groups = groups
        self.store = store
    }

    /// The value and its terms in the keys of a cache.
    ///
    /// - Throws: ``CacheError`` with code `invalidKey` for a group without a name.
    func loaded(in keys: KeySpace) throws -> LoadedValue<Value> {
        let terms = LoadTerms(
            ttl: ttl, staleFor: staleFor.map { max(.zero, $0) }, groups: try groups.map { try keys.key(ofGroup: $0) },
            isStored: store == .yes)
        return LoadedValue(value, terms: terms)
    }
}

extension Cached: Sendable where Value: Sendable {}
