/// Where a value is cached, and who waits for it how long.
public struct CacheEntry: Sendable {
    /// What all entries of one cached function have in common.
    public final class Options: Sendable {
        /// The name of the function, for events.
        public let function: String
        /// The generation keys of the value's groups, in the order of their bytes, each once: groups are a set.
        public let groups: [StoreKey]
        /// How long who waits for what.
        public let policy: CachePolicy
        /// What all loads of the function have to pass.
        let gate: LoadGate?

        private init(_ options: Options, policy: CachePolicy, groups: [StoreKey]) {
            (function, gate) = (options.function, options.gate)
            self.policy = policy
            self.groups = groups
        }

        /// The same with another policy. What loads have to pass stays.
        public func with(_ policy: CachePolicy) -> Options {
            Options(self, policy: policy.bounded, groups: groups)
        }

        /// The same with other groups.
        ///
        /// - Precondition: there are at most 255.
        public func with(groups: [StoreKey]) -> Options {
            precondition(groups.count <= EnvelopeCoding.maximumStamps, "a value can be in at most 255 groups")
            return Options(self, policy: policy, groups: Self.inOrder(groups))
        }

        private static func inOrder(_ groups: [StoreKey]) -> [StoreKey] {
            Set(groups).sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        }

        /// Makes options.
        ///
        /// - Parameters:
        ///   - limitsLoads: whether the policy's `maximumLoads` is for the function, and not the cache's only.
        ///   - other: options of the same function, which then share the bound if it is the same.
        /// - Precondition: there are at most 255 groups.
        public init(
            function: String = "", groups: [StoreKey] = [], policy: CachePolicy, limitsLoads: Bool = false,
            like other: Options? = nil
        ) {
            self.function = function
            self.groups = Self.inOrder(groups)
            self.policy = policy.bounded
            let isSame =
                other?.policy.maximumLoads == policy.maximumLoads
                && other?.policy.maximumWaitingLoads == policy.maximumWaitingLoads
            gate = limitsLoads ? (isSame ? other?.gate : nil) ?? policy.gate : nil
            precondition(
                self.groups.count <= EnvelopeCoding.maximumStamps, "a value can be in at most 255 groups")
        }
    }

    /// The value key.
    public let key: StoreKey
    /// What it has in common with others. An object, so that handing it on costs one reference.
    public let options: Options

    var groups: [StoreKey] { options.groups }
    var policy: CachePolicy { options.policy }

    /// Makes an entry.
    public init(key: StoreKey, options: Options) {
        self.key = key
        self.options = options
    }
}

/// Turns values into payloads and back, and says how long each is fresh.
public protocol PayloadCoder<Value>: Sendable {
    /// What is cached.
    associatedtype Value: Sendable

    /// The tag of the payloads that it writes. Those of another tag are of another format, and it need not read them.
    var tag: UInt32 { get }

    /// How long a value is fresh; `nil` for a value that is not to be cached.
    func lifetime(of value: Value) -> Duration?

    /// The payload of a value. An error means that the value is returned to its caller and not cached.
    func encode(_ value: Value) throws -> Payload

    /// The value of a payload. An error means that the payload is a miss and is replaced.
    ///
    /// - Parameters:
    ///   - identity: a random number that names the load which the payload is of: the same number, the same payload.
    ///   - key: where it is cached.
    func decode(_ payload: Payload, of identity: UInt64, under key: StoreKey) throws -> Value

    /// What is wrong with a payload that has just been encoded, where that is checked: nothing, by default.
    func flaw(in payload: Payload, of value: Value) -> CacheError?

    /// Whether two values are the same to their users: by default, when their payloads are.
    func areSame(_ one: Value, _ other: Value) -> Bool
}

extension PayloadCoder {
    /// Nothing is wrong.
    public func flaw(in payload: Payload, of value: Value) -> CacheError? { nil }

    /// Whether their payloads are the same. What cannot be encoded is not cached either.
    public func areSame(_ one: Value, _ other: Value) -> Bool {
        guard let one = try? encode(one), let other = try? encode(other) else { return true }
        return one.tag == other.tag && one.bytes == other.bytes
    }

    /// The value of a record.
    func decode(_ record: CachedRecord, under key: StoreKey) throws -> Value {
        try decode(record.payload, of: record.identity.rawValue, under: key)
    }
}
