/// A table of decoded values, four-way set associative. What has no room in its set is kept in the one beside it, or a
/// few sets with more than four identities would have all of theirs decoded time and again.
///
/// It owns its memory and not the entries: it hands each one back once. It is not generic, because generic code would
/// look up metadata at every step.
struct DecodedSets: ~Copyable {
    private static let ways = 4
    private static let fewestSlots = 64
    private static let mostSlots = DecodedValuesLimits.count / DecodedShard.number
    private static let mostBytes = DecodedValuesLimits.size / DecodedShard.number

    private struct Slot {
        var identity: UInt64 = 0
        var entry: DecodedEntry?
    }

    /// The ways of the first set, then those of the second, …; none until something is kept. A set is one line of the
    /// processor's cache.
    private var slots = UnsafeMutableBufferPointer<Slot>(start: nil, count: 0)
    /// Which way of each set is replaced next.
    private var oldest: [UInt8] = []
    private var count = 0
    /// Of all payloads.
    private var bytes = 0
    /// The slot that is emptied next when there are too many bytes.
    private var hand = 0

    init() {}

    deinit { slots.deallocate() }

    func entry(of identity: UInt64) -> DecodedEntry? {
        guard !slots.isEmpty else { return nil }
        let number = number(of: identity)
        for slot in set(number) where slots[slot].identity == identity { return slots[slot].entry }
        for slot in set(number ^ 1) where slots[slot].identity == identity { return slots[slot].entry }
        return nil
    }

    /// Keeps an entry, and returns those that are not kept any more; the same one when its identity has one already.
    mutating func keep(_ entry: DecodedEntry, of identity: UInt64) -> [DecodedEntry] {
        guard self.entry(of: identity) == nil else { return [entry] }
        var replaced: [DecodedEntry] = []
        if count * 2 >= slots.count, slots.count < Self.mostSlots {
            replaced += makeRoom(max(Self.fewestSlots, slots.count * 2))
        }
        while bytes + entry.size > Self.mostBytes {
            replaced += fill(hand, with: Slot())
            hand = (hand + 1) % slots.count
        }
        return replaced + fill(place(for: identity), with: Slot(identity: identity, entry: entry))
    }

    /// Takes out all entries.
    mutating func removeAll() -> [DecodedEntry] { slots.indices.flatMap { fill($0, with: Slot()) } }

    /// A free slot of its set or of the one beside it, or the oldest one of its set.
    private mutating func place(for identity: UInt64) -> Int {
        let number = number(of: identity)
        for set in [set(number), set(number ^ 1)] {
            if let free = set.first(where: { slots[$0].entry == nil }) { return free }
        }
        defer { oldest[number] = (oldest[number] + 1) % UInt8(Self.ways) }
        return set(number).lowerBound + Int(oldest[number])
    }

    /// Returns what was in the slot, if anything was.
    private mutating func fill(_ slot: Int, with content: Slot) -> [DecodedEntry] {
        let before = slots[slot].entry
        bytes += (content.entry?.size ?? 0) - (before?.size ?? 0)
        count += (content.entry == nil ? 0 : 1) - (before == nil ? 0 : 1)
        slots[slot] = content
        return before.map { [$0] } ?? []
    }

    /// Returns what has no room all the same, which is seldom anything: what was in one set is in two then.
    private mutating func makeRoom(_ count: Int) -> [DecodedEntry] {
        let kept = slots
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: count * MemoryLayout<Slot>.stride, alignment: Self.ways * MemoryLayout<Slot>.stride)
        slots = UnsafeMutableBufferPointer(
            start: memory.initializeMemory(as: Slot.self, repeating: Slot(), count: count), count: count)
        oldest = Array(repeating: 0, count: count / Self.ways)
        (self.count, bytes, hand) = (0, 0, 0)
        var replaced: [DecodedEntry] = []
        for slot in kept where slot.entry != nil { replaced += fill(place(for: slot.identity), with: slot) }
        kept.deallocate()
        return replaced
    }

    /// The number of its set.
    private func number(of identity: UInt64) -> Int {
        Int(truncatingIfNeeded: identity / UInt64(DecodedShard.number)) & (slots.count / Self.ways - 1)
    }

    private func set(_ number: Int) -> Range<Int> { number * Self.ways..<(number + 1) * Self.ways }
}
