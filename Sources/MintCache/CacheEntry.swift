/// What is cached, where and how: everything about a cached value but its loader.
public struct CacheEntry<Value: Sendable>: Sendable {
    /// The value key.
    public let key: StoreKey
    /// The generation keys of the value's groups, at most 255.
    public let groups: [StoreKey]
    /// How long who waits for what.
    public let policy: CachePolicy
    /// How values become payloads and how long they are fresh.
    public let coder: any PayloadCoder<Value>

    /// Makes an entry.
    ///
    /// - Precondition: there are at most 255 groups.
    public init(key: StoreKey, groups: [StoreKey] = [], policy: CachePolicy, coder: any PayloadCoder<Value>) {
        precondition(groups.count <= EnvelopeCoding.maximumStamps, "a value can be in at most 255 groups")
        self.key = key
        self.groups = groups
        self.policy = policy
        self.coder = coder
    }
}

/// Turns values into payloads and back, and says how long each is fresh.
public protocol PayloadCoder<Value>: Sendable {
    /// What is cached.
    associatedtype Value: Sendable

    /// How long a value is fresh; `nil` for a value that is not to be cached.
    func lifetime(of value: Value) -> Duration?

    /// The payload of a value. An error means that the value is returned to its caller and not cached.
    func encode(_ value: Value) throws -> Payload

    /// The value of a payload. An error means that the payload is a miss and is replaced.
    func decode(_ payload: Payload) throws -> Value
}
