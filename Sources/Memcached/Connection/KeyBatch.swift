import MintCache

/// The distinct keys of a batch of gets, their bytes side by side where C can read them. It is filled again and again
/// for one exchange after the other, and keeps its storage.
struct KeyBatch: ~Copyable {
    private static let largestKeptTable = 4096

    /// The keys' bytes, one after the other.
    private var arena: [UInt8] = []
    /// Where each key is in the arena.
    private var spans: [Range<Int>] = []
    /// An open-addressing hash table of indices of keys, at most half full; -1 is a free slot.
    private(set) var slots = Self.freeSlots(256)

    var count: Int { spans.count }
    /// How long one line with all keys is, but for the command.
    var lineLength: Int { arena.count + spans.count }

    init() {}

    mutating func removeAll() {
        // What one large get needed, every small one after it would have to clear.
        if slots.count > Self.largestKeptTable {
            self = KeyBatch()
            return
        }
        arena.removeAll(keepingCapacity: true)
        spans.removeAll(keepingCapacity: true)
        for slot in slots.indices { slots[slot] = -1 }
    }

    /// The index of a key, which is added when it is not there yet.
    mutating func index(of key: StoreKey) -> Int {
        key.bytes.withUnsafeBytes { bytes in
            let slot = slot(of: bytes)
            if slots[slot] >= 0 { return Int(slots[slot]) }
            slots[slot] = Int32(count)
            spans.append(arena.count..<arena.count + bytes.count)
            arena.append(contentsOf: bytes)
            if count * 2 > slots.count { growTable() }
            return count - 1
        }
    }

    /// Whether a key has these bytes.
    func key(_ index: Int, is bytes: UnsafeRawBufferPointer) -> Bool {
        arena.withUnsafeBytes {
            UnsafeRawBufferPointer(rebasing: $0[spans[index]]).isSame(as: bytes)
        }
    }

    /// The index of the key with these bytes.
    func index(of bytes: UnsafeRawBufferPointer) -> Int? {
        let index = slots[slot(of: bytes)]
        return index < 0 ? nil : Int(index)
    }

    /// By how much a key would make the line longer.
    func growth(by key: StoreKey) -> Int {
        key.bytes.withUnsafeBytes { index(of: $0) == nil ? $0.count + 1 : 0 }
    }

    // MARK: Lines

    /// The indices after `start` whose keys go on one line of so many bytes; one key always does.
    func line(from start: Int, length: Int) -> Range<Int> {
        var end = start
        var bytes = 0
        while end < count {
            bytes += spans[end].count + 1
            if bytes > length, end > start { break }
            end += 1
        }
        return start..<end
    }

    /// Calls a closure with the keys of a line and their lengths as C wants them; they must not escape it.
    func withLine<Result>(
        _ line: Range<Int>, _ body: (UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int>?) -> Result
    ) -> Result {
        arena.withUnsafeBytes { arena in
            withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: line.count) { keys in
                withUnsafeTemporaryAllocation(of: Int.self, capacity: line.count) { lengths in
                    for (position, span) in spans[line].enumerated() {
                        let key = arena.baseAddress.map { $0 + span.lowerBound }
                        keys.initializeElement(at: position, to: key?.assumingMemoryBound(to: CChar.self))
                        lengths.initializeElement(at: position, to: span.count)
                    }
                    return body(keys.baseAddress, lengths.baseAddress)
                }
            }
        }
    }

    // MARK: The table

    /// Where a key is in the table, or is to be.
    private func slot(of bytes: UnsafeRawBufferPointer) -> Int {
        let mask = slots.count - 1
        // Keys that collide on purpose cost a comparison each.
        var slot = Int(truncatingIfNeeded: WyHash.hash(bytes, seed: 0)) & mask
        while slots[slot] >= 0, !key(Int(slots[slot]), is: bytes) { slot = (slot + 1) & mask }
        return slot
    }

    private mutating func growTable() {
        slots = Self.freeSlots(slots.count * 2)
        arena.withUnsafeBytes { arena in
            for index in spans.indices {
                slots[slot(of: UnsafeRawBufferPointer(rebasing: arena[spans[index]]))] = Int32(index)
            }
        }
    }

    private static func freeSlots(_ count: Int) -> [Int32] { [Int32](repeating: -1, count: count) }
}
