import MintCache

/// What the protocol is told about the values of one cached function or key.
final class EntryCoder<Value: Sendable>: PayloadCoder {
    private let codec: any CacheCodec<Value>
    let tag: UInt32
    private let ttl: Duration
    private let nilFor: Duration?
    /// `nil` where decoding costs no more than looking it up would.
    let decoded: DecodedFunction<Value>?
    let check: RoundTripCheck?

    /// - Parameters:
    ///   - decoded: where decoded values are kept.
    ///   - check: compares values with what their codec makes of them.
    init(
        codec: any CacheCodec<Value>, policy: CachePolicy, decoded: DecodedFunction<Value>?, check: RoundTripCheck?
    ) {
        self.codec = codec
        ttl = policy.ttl
        nilFor = policy.nilFor
        tag = Array(codec.format.utf8).withUnsafeBytes { UInt32(truncatingIfNeeded: WyHash.hash($0, seed: 0)) }
        self.decoded = codec is any QuickCodec ? nil : decoded
        self.check = codec is any QuickCodec ? nil : check
    }

    func flaw(in payload: Payload, of value: Value) -> CacheError? { check?.flaw(in: payload.bytes, of: value, codec) }

    /// By what their type takes for equal, if it says so: in which order a dictionary is encoded, say, is no difference.
    func areSame(_ one: Value, _ other: Value) -> Bool {
        if let one = one as? any Equatable { return one.isEqual(to: other) }
        guard let one = try? codec.encode(one), let other = try? codec.encode(other) else { return true }
        return one == other
    }

    func lifetime(of value: Value) -> Duration? {
        (value as? any OptionalValue)?.isNil == true ? nilFor : ttl
    }

    func encode(_ value: Value) throws -> Payload {
        do {
            return Payload(tag: tag, bytes: try codec.encode(value)[...])
        } catch {
            throw CacheError(
                .encodingFailed, "a \(Value.self) could not be encoded as \(codec.format), so it is not cached",
                underlying: error)
        }
    }

    func decode(_ payload: Payload, of identity: UInt64, under key: StoreKey) throws -> Value {
        guard payload.tag == tag else { throw MalformedPayload() }
        guard let decoded else { return try codec.decode(payload.bytes) }
        return try decode(payload.bytes, of: identity, under: key, keptIn: decoded)
    }

    // By itself and not inlined: the metadata that it needs would be looked up by whoever does not need them, too.
    @inline(never)
    private func decode(
        _ bytes: ArraySlice<UInt8>, of identity: UInt64, under key: StoreKey, keptIn decoded: DecodedFunction<Value>
    ) throws -> Value {
        do { return try decoded.value(of: identity, under: key) } catch {}
        // A copy: a value that keeps its bytes, in spite of the codec's contract, would keep what was read with them.
        let value = try codec.decode(Array(bytes)[...])
        decoded.keep(value, of: identity, under: key, size: bytes.count)
        return value
    }
}

extension Equatable {
    fileprivate func isEqual(to other: some Any) -> Bool { other as? Self == self }
}
