import Synchronization

/// The last decoded values of one cached function, by the identity of their payloads, so that a value which has not
/// changed in the store since it was read last is not decoded again.
///
/// Nothing is served from here alone: a caller has read the identity in the store just before. The table is bounded, by
/// ``DecodedValuesLimits``. It is four-way set associative, and grows when it is half full; identities are random, so
/// their bits spread the values evenly.
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

    /// Keeps a value, instead of older ones when there are too many.
    ///
    /// - Parameter size: of its payload in bytes.
    func keep(_ value: Value, of identity: UInt64, size: Int) {
        shard(of: identity).keep(Box(value), of: identity, size: size)
    }

    private func shard(of identity: UInt64) -> DecodedShard {
        shards[Int(truncatingIfNeeded: identity) & (DecodedShard.number - 1)]
    }
}

/// Outside of the generic type, which would look up metadata to name a constant.
enum DecodedValuesLimits {
    /// In bytes.
    static let largestPayload = 4096
    /// Of the payloads of all values, in bytes.
    static let size = 16 << 20
    static let count = 65_536
}

/// Some of the sets of the table, under one lock, so that callers on many cores seldom meet. It is not generic, because
/// generic code would look up metadata at every step.
private final class DecodedShard: Sendable {
    static let number = 16

    private let state = Mutex(DecodedSets())

    func object(of identity: UInt64) -> (any AnyObject & Sendable)? {
        state.withLock { $0.object(of: identity) }
    }

    func keep(_ object: any AnyObject & Sendable, of identity: UInt64, size: Int) {
        state.withLock { $0.keep(object, of: identity, size: size) }
    }
}

private struct DecodedSets {
    private static let ways = 4
    private static let fewestSlots = 64
    private static let mostSlots = DecodedValuesLimits.count / DecodedShard.number
    private static let mostBytes = DecodedValuesLimits.size / DecodedShard.number

    private struct Slot {
        var identity: UInt64 = 0
        var object: (any AnyObject & Sendable)?
        /// Of the payload, in bytes.
        var size: Int32 = 0
    }

    /// The ways of the first set, then those of the second, …; empty until something is kept.
    private var slots: [Slot] = []
    /// Which way of each set is replaced next.
    private var oldest: [UInt8] = []
    private var count = 0
    /// Of all payloads.
    private var bytes = 0
    /// The slot that is emptied next when there are too many bytes.
    private var hand = 0

    func object(of identity: UInt64) -> (any AnyObject & Sendable)? {
        guard !slots.isEmpty else { return nil }
        for slot in set(of: identity) where slots[slot].identity == identity { return slots[slot].object }
        return nil
    }

    mutating func keep(_ object: any AnyObject & Sendable, of identity: UInt64, size: Int) {
        guard self.object(of: identity) == nil else { return }
        if count * 2 >= slots.count, slots.count < Self.mostSlots { makeRoom(max(Self.fewestSlots, slots.count * 2)) }
        while bytes + size > Self.mostBytes {
            fill(hand, with: Slot())
            hand = (hand + 1) % slots.count
        }
        fill(place(for: identity), with: Slot(identity: identity, object: object, size: Int32(size)))
    }

    /// A free slot of its set, or the oldest one.
    private mutating func place(for identity: UInt64) -> Int {
        let set = set(of: identity)
        if let free = set.first(where: { slots[$0].object == nil }) { return free }
        let number = set.lowerBound / Self.ways
        defer { oldest[number] = (oldest[number] + 1) % UInt8(Self.ways) }
        return set.lowerBound + Int(oldest[number])
    }

    private mutating func fill(_ slot: Int, with content: Slot) {
        bytes += Int(content.size) - Int(slots[slot].size)
        count += (content.object == nil ? 0 : 1) - (slots[slot].object == nil ? 0 : 1)
        slots[slot] = content
    }

    /// What was in one set is in two then, so that none of it is lost.
    private mutating func makeRoom(_ count: Int) {
        let kept = slots
        (self.count, bytes, hand) = (0, 0, 0)
        slots = Array(repeating: Slot(), count: count)
        oldest = Array(repeating: 0, count: count / Self.ways)
        for slot in kept where slot.object != nil { fill(place(for: slot.identity), with: slot) }
    }

    private func set(of identity: UInt64) -> Range<Int> {
        let number = Int(truncatingIfNeeded: identity / UInt64(DecodedShard.number)) & (slots.count / Self.ways - 1)
        return number * Self.ways..<(number + 1) * Self.ways
    }
}
