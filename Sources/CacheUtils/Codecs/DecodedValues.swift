import Synchronization

/// The last decoded values of one cached function, by the identity of their payloads, so that a value which has not
/// changed in the store since it was read last is not decoded again.
///
/// Nothing is served from here alone: a caller has read the identity in the store just before. The table is bounded:
/// at most 4,096 values, none of a payload larger than ``DecodedValuesLimits/largestPayload``. It is four-way set
/// associative; identities are random, so their bits spread the values evenly.
final class DecodedValues<Value: Sendable>: Sendable {
    private final class Box: Sendable {
        let value: Value

        init(_ value: Value) { self.value = value }
    }

    private let shards = (0..<DecodedShard.number).map { _ in DecodedShard() }

    /// The value that was decoded from the payload of this identity, if it is still kept.
    func value(of identity: UInt64) -> Value? {
        // Only boxes of this type are kept.
        shard(of: identity).object(of: identity).map { unsafeDowncast($0, to: Box.self).value }
    }

    /// Keeps a value instead of the oldest one of its set.
    func keep(_ value: Value, of identity: UInt64) { shard(of: identity).keep(Box(value), of: identity) }

    private func shard(of identity: UInt64) -> DecodedShard {
        shards[Int(truncatingIfNeeded: identity) & (DecodedShard.number - 1)]
    }
}

/// Outside of the generic type, which would look up metadata to name a constant.
enum DecodedValuesLimits {
    /// In bytes; so the payloads of all values are at most 16 MiB.
    static let largestPayload = 4096
}

/// Some of the sets of the table, under one lock, so that callers on many cores seldom meet. It is not generic, because
/// generic code would look up metadata at every step.
private final class DecodedShard: Sendable {
    static let number = 16
    private static let sets = 64
    private static let ways = 4

    private struct Slot {
        var identity: UInt64 = 0
        var object: (any AnyObject & Sendable)?
    }

    private struct State {
        /// The ways of the first set, then those of the second, …; empty until something is kept.
        var slots: [Slot] = []
        /// Which way of each set is replaced next.
        var oldest: [UInt8] = []
    }

    private let state = Mutex(State())

    func object(of identity: UInt64) -> (any AnyObject & Sendable)? {
        state.withLock { state in
            guard !state.slots.isEmpty else { return nil }
            let first = Self.set(of: identity) * Self.ways
            for slot in first..<first + Self.ways where state.slots[slot].identity == identity {
                return state.slots[slot].object
            }
            return nil
        }
    }

    func keep(_ object: any AnyObject & Sendable, of identity: UInt64) {
        state.withLock { state in
            if state.slots.isEmpty {
                state.slots = Array(repeating: Slot(), count: Self.sets * Self.ways)
                state.oldest = Array(repeating: 0, count: Self.sets)
            }
            let set = Self.set(of: identity)
            let way = Int(state.oldest[set])
            state.slots[set * Self.ways + way] = Slot(identity: identity, object: object)
            state.oldest[set] = UInt8((way + 1) % Self.ways)
        }
    }

    private static func set(of identity: UInt64) -> Int {
        Int(truncatingIfNeeded: identity / UInt64(number)) & (sets - 1)
    }
}
