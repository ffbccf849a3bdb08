/// Where a value is cached, and who waits for it how long.
public struct CacheEntry: Sendable {
    /// The value key.
    public let key: StoreKey
    /// The generation keys of the value's groups, at most 255.
    public let groups: [StoreKey]
    /// How long who waits for what.
    public let policy: CachePolicy

    /// Makes an entry.
    ///
    /// - Precondition: there are at most 255 groups.
    public init(key: StoreKey, groups: [StoreKey] = [], policy: CachePolicy) {
        precondition(groups.count <= EnvelopeCoding.maximumStamps, "a value can be in at most 255 groups")
        self.key = key
        self.groups = groups
        self.policy = policy
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
    ///
    /// - Parameter identity: a random number that names the load which the payload is of: the same number, the same
    ///   payload.
    func decode(_ payload: Payload, of identity: UInt64) throws -> Value
}

extension PayloadCoder {
    /// The value of a record.
    func decode(_ record: CachedRecord) throws -> Value {
        try decode(record.payload, of: record.identity.rawValue)
    }
}
