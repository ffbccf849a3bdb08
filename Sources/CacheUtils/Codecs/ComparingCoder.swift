import MintCache

/// A coder whose values are compared by a closure, and not by their bytes.
struct ComparingCoder<Value: Sendable>: PayloadCoder {
    let base: any PayloadCoder<Value>
    let comparison: @Sendable (Value, Value) -> Bool

    var tag: UInt32 { base.tag }

    func areSame(_ one: Value, _ other: Value) -> Bool { comparison(one, other) }
    func lifetime(of value: Value) -> Duration? { base.lifetime(of: value) }
    func encode(_ value: Value) throws -> Payload { try base.encode(value) }
    func flaw(in payload: Payload, of value: Value) -> CacheError? { base.flaw(in: payload, of: value) }

    func decode(_ payload: Payload, of identity: UInt64, under key: StoreKey) throws -> Value {
        try base.decode(payload, of: identity, under: key)
    }
}
