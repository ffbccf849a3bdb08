import MintCache

/// A table of decoded values, one for each key, four-way set associative. What has no room in its set is kept in the one
/// beside it, or a few sets with more than four keys would have all of theirs decoded time and again.
///
/// It owns its memory and not the entries: it hands each one back once. It is not generic, because generic code would
/// look up metadata at every step.
struct DecodedSets: ~Copyable {
    private static let ways = 4
    private static let fewestSlots = 8

    private struct Slot {
        var place = DecodedPlace.none
        var entry: DecodedEntry?
    }

    /// The ways of the first set, then those of the second, …; none until something is kept. A set is one line of the
    /// processor's cache.
    private var slots = UnsafeMutableBufferPointer<Slot>(start: nil, count: 0)
    /// Which way of each set is replaced next.
    private var oldest: [UInt8] = []
    private var count = 0
    /// Of all entries, and at most.
    private var bytes = 0
    private let capacity: Int
    /// The slot that is emptied next when there are too many bytes.
    private var hand = 0

    init(capacity: Int) { self.capacity = capacity }

    deinit { slots.deallocate() }

    func entry(at place: DecodedPlace) -> DecodedEntry? { slot(of: place).flatMap { slots[$0].entry } }

    /// Keeps an entry, and returns those that are not kept any more: the one of the same place, and this one itself when
    /// it is kept already or has no room.
    mutating func keep(_ entry: DecodedEntry, at place: DecodedPlace) -> [DecodedEntry] {
        if let slot = slot(of: place), let before = slots[slot].entry {
            if before.isSame(as: entry) { return [entry] }
            return fill(slot, with: Slot()) + keep(entry, at: place)
        }
        var replaced: [DecodedEntry] = []
        if count * 2 >= slots.count { replaced += grow() }
        guard !slots.isEmpty, entry.size <= room / 8 else { return replaced + [entry] }
        while bytes + entry.size > room {
            replaced += fill(hand, with: Slot())
            hand = (hand + 1) % slots.count
        }
        return replaced + fill(freeSlot(for: place), with: Slot(place: place, entry: entry))
    }

    /// Takes out what is kept of a key, whatever its groups.
    mutating func remove(_ key: DecodedPlace) -> [DecodedEntry] {
        guard !slots.isEmpty else { return [] }
        return candidates(key).filter { slots[$0].entry != nil && slots[$0].place.isOfSameKey(as: key) }
            .flatMap { fill($0, with: Slot()) }
    }

    /// Takes out what is of some groups.
    mutating func remove(groups: Set<StoreKey>) -> [DecodedEntry] {
        let mask = DecodedPlace.mask(of: groups)
        return slots.indices.filter { slot in
            guard slots[slot].place.mayBe(in: mask), let entry = slots[slot].entry else { return false }
            return entry.groups.contains { groups.contains($0) }
        }.flatMap { fill($0, with: Slot()) }
    }

    /// Takes out all entries.
    mutating func removeAll() -> [DecodedEntry] { slots.indices.flatMap { fill($0, with: Slot()) } }

    /// The bytes for entries.
    private var room: Int { capacity - slots.count * MemoryLayout<Slot>.stride }

    private func slot(of place: DecodedPlace) -> Int? {
        guard !slots.isEmpty else { return nil }
        let number = number(of: place)
        for slot in set(number) where slots[slot].place == place { return slot }
        for slot in set(number ^ 1) where slots[slot].place == place { return slot }
        return nil
    }

    /// The slots where a key may be kept.
    private func candidates(_ key: DecodedPlace) -> [Int] {
        let number = number(of: key)
        return Array(set(number)) + Array(set(number ^ 1))
    }

    /// A free slot of its set or of the one beside it, or the oldest one of its set.
    private mutating func freeSlot(for place: DecodedPlace) -> Int {
        if let free = candidates(place).first(where: { slots[$0].entry == nil }) { return free }
        let number = number(of: place)
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

    /// Makes twice as many slots, unless they would take too much of the capacity. Returns what has no room all the same,
    /// which is seldom anything: what was in one set is in two then.
    private mutating func grow() -> [DecodedEntry] {
        let count = max(Self.fewestSlots, slots.count * 2)
        guard count * MemoryLayout<Slot>.stride <= capacity / 4 else { return [] }
        let kept = slots
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: count * MemoryLayout<Slot>.stride, alignment: Self.ways * MemoryLayout<Slot>.stride)
        slots = UnsafeMutableBufferPointer(
            start: memory.initializeMemory(as: Slot.self, repeating: Slot(), count: count), count: count)
        oldest = Array(repeating: 0, count: count / Self.ways)
        (self.count, bytes, hand) = (0, 0, 0)
        var replaced: [DecodedEntry] = []
        for slot in kept where slot.entry != nil { replaced += fill(freeSlot(for: slot.place), with: slot) }
        kept.deallocate()
        return replaced
    }

    /// The number of its set.
    private func number(of place: DecodedPlace) -> Int { place.setNumber & (slots.count / Self.ways - 1) }

    private func set(_ number: Int) -> Range<Int> { number * Self.ways..<(number + 1) * Self.ways }
}
