/// What a loader returns: a value, and how it is to be cached where that is not as its function's options say.
public struct LoadedValue<Value> {
    /// The value.
    public var value: Value
    /// How it is cached; `nil` for as the options say.
    public var terms: LoadTerms?

    /// Makes one.
    public init(_ value: Value, terms: LoadTerms? = nil) {
        self.value = value
        self.terms = terms
    }
}

extension LoadedValue: Sendable where Value: Sendable {}

/// How one value is cached, as its load says.
public struct LoadTerms: Sendable {
    /// How long it is fresh; `nil` for as long as its function's values are. A value that is not fresh at all is not stored.
    public var ttl: Duration?
    /// How long after that it may be served while someone refreshes it; `nil` for as long as its function's values.
    public var staleFor: Duration?
    /// The generation keys of groups that it has besides its function's.
    public var groups: [StoreKey]
    /// Whether it is cached at all.
    public var isStored: Bool

    /// Makes terms.
    public init(
        ttl: Duration? = nil, staleFor: Duration? = nil, groups: [StoreKey] = [], isStored: Bool = true
    ) {
        self.ttl = ttl
        self.staleFor = staleFor
        self.groups = groups
        self.isStored = isStored
    }
}
