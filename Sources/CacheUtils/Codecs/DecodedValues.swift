import Synchronization

/// The last decoded values of one cached function, by the identity of their payloads, so that a value which has not
/// changed in the store since it was read last is not decoded again.
///
/// Nothing is served from here alone: a caller has read the identity in the store just before. The table is bounded, by
/// ``DecodedValuesLimits``. It is four-way set associative, and grows when it is half full; identities are random, so
/// their bits spread the values evenly.
final class DecodedValues<Value: Sendable>: Sendable {
    private let shards = (0..<DecodedShard.number).map { _ in DecodedShard() }

    deinit {
        for shard in shards { free(shard.sets.withLock { $0.removeAll() }) }
    }

    /// The value that was decoded from the payload of this identity.
    ///
    /// - Throws: when it is not kept. An optional of the value would have its metadata looked up each time.
    func value(of identity: UInt64) throws(NotKept) -> Value {
        // Copied while the entry cannot be replaced, and so without counting references to it.
        try shard(of: identity).sets.withLock { sets throws(NotKept) in
            guard let entry = sets.entry(of: identity) else { throw NotKept() }
            return entry.value()
        }
    }

    /// Keeps a value, instead of older ones when there are too many.
    ///
    /// - Parameter size: of its payload in bytes.
    func keep(_ value: Value, of identity: UInt64, size: Int) {
        let entry = DecodedEntry(value, size: size)
        free(shard(of: identity).sets.withLock { $0.keep(entry, of: identity) })
    }

    private func free(_ entries: [DecodedEntry]) {
        for entry in entries { entry.free(as: Value.self) }
    }

    private func shard(of identity: UInt64) -> DecodedShard {
        shards[Int(truncatingIfNeeded: identity) & (DecodedShard.number - 1)]
    }
}

/// That a decoded value is not kept, or no longer.
struct NotKept: Error {}

/// Outside of the generic type, which would look up metadata to name a constant.
enum DecodedValuesLimits {
    /// In bytes.
    static let largestPayload = 4096
    /// Of the payloads of all values, in bytes.
    static let size = 16 << 20
    static let count = 65_536
}

/// Some of the sets of the table, under one lock, so that callers on many cores seldom meet.
final class DecodedShard: Sendable {
    static let number = 16

    let sets = Mutex(DecodedSets())
}
