import MintCache
import Synchronization

/// The decoded values of one cached function.
// An object, so that a hit counts one reference.
final class DecodedFunction<Value: Sendable>: Sendable {
    private let values: DecodedValues
    private let shards: [DecodedShard]
    private let owner: DecodedOwner
    private let mask: UInt64
    private let sample = DecodedSample()

    init(in values: DecodedValues, groups: [StoreKey]) {
        self.values = values
        shards = values.shards
        owner = DecodedOwner(Value.self, groups: groups)
        mask = DecodedPlace.mask(of: groups)
    }

    /// The value of a key that was decoded from the payload of this identity.
    ///
    /// - Throws: when it is not kept. An optional of the value would have its metadata looked up each time.
    func value(of identity: UInt64, under key: StoreKey) throws(NotKept) -> Value {
        let place = DecodedPlace(key: key, mask: mask)
        // Copied while the entry cannot be replaced, and so without counting references to it.
        return try shards[place.shard].sets.withLock { sets throws(NotKept) in
            guard let entry = sets.entry(at: place), entry.isOf(identity, owner) else { throw NotKept() }
            return entry.value()
        }
    }

    /// Keeps the value of a key.
    ///
    /// - Parameter size: of its payload in bytes.
    func keep(_ value: Value, of identity: UInt64, under key: StoreKey, size: Int) {
        let entry = DecodedEntry(value, of: identity, heap: sample.heap(of: value, size: size), owner: owner)
        values.keep(entry, at: DecodedPlace(key: key, mask: mask))
    }
}

/// How much memory the values of a function take for each byte of their payloads. The first ones are measured, and some
/// of the others: to look at each part of each value would take about as long as decoding it.
private final class DecodedSample: Sendable {
    private static let first = 16
    private static let oneIn = 32

    private struct Sums {
        var values = 0
        var payloads = 0
        var heap = 0
    }

    private let sums = Mutex(Sums())

    func heap(of value: some Any, size: Int) -> Int {
        let estimate = sums.withLock { sums -> Int? in
            sums.values += 1
            guard sums.values > Self.first, sums.values % Self.oneIn != 0, sums.payloads > 0 else { return nil }
            return Int(Double(size) * Double(sums.heap) / Double(sums.payloads))
        }
        if let estimate { return estimate }
        let heap = HeapSize.of(value)
        sums.withLock { sums in
            sums.payloads += size
            sums.heap += heap
        }
        return heap
    }
}
