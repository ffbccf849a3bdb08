import MintCache

/// The distinct keys of a batch of gets, their bytes side by side where C can read them. It is filled again and again
/// by one worker and keeps its storage.
struct KeyBatch: ~Copyable {
    /// Where a key's bytes are.
    private struct Span {
        var offset: Int
        var count: Int
    }

    /// libmemcached sends what fits into its write buffer of 8,196 bytes at once: keep a line below that.
    static let longestLine = 8_000

    private var arena: [UInt8] = []
    private var spans: [Span] = []
    /// An open-addressing hash table of indices into `spans`; -1 is a free slot.
    private var slots: [Int32] = []

    var count: Int { spans.count }

    init() {}

    /// Empties the batch and makes room for a number of keys.
    mutating func reset(forKeys number: Int) {
        arena.removeAll(keepingCapacity: true)
        spans.removeAll(keepingCapacity: true)
        var size = 64
        while size < number * 2 { size *= 2 }
        slots.removeAll(keepingCapacity: true)
        slots.append(contentsOf: repeatElement(-1, count: size))
    }

    /// The index of a key, which is added when it is not there yet.
    mutating func index(of key: StoreKey) -> Int {
        let mask = slots.count - 1
        let hash = key.bytes.withUnsafeBytes { XXHash32.hash($0, seed: 0) }
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] >= 0 {
            let index = Int(slots[slot])
            if matches(index, key) { return index }
            slot = (slot + 1) & mask
        }
        slots[slot] = Int32(spans.count)
        spans.append(Span(offset: arena.count, count: key.bytes.count))
        arena.append(contentsOf: key.bytes)
        return spans.count - 1
    }

    /// The indices after `start` whose keys go on one line: at most a number of them, and of bytes.
    func line(from start: Int, maximumKeys: Int) -> Range<Int> {
        var end = start
        var bytes = 0
        while end < spans.count, end - start < maximumKeys {
            bytes += spans[end].count + 1
            if bytes > Self.longestLine, end > start { break }
            end += 1
        }
        return start..<end
    }

    /// Calls a closure with the bytes of all keys; they must not escape it.
    func withBytes<Result>(_ body: (UnsafePointer<UInt8>) throws -> Result) rethrows -> Result? {
        try arena.withUnsafeBufferPointer { try $0.baseAddress.map(body) }
    }

    func offset(of index: Int) -> Int { spans[index].offset }

    func length(of index: Int) -> Int { spans[index].count }

    private func matches(_ index: Int, _ key: StoreKey) -> Bool {
        let span = spans[index]
        return arena.withUnsafeBytes { arena in
            key.bytes.withUnsafeBytes {
                UnsafeRawBufferPointer(rebasing: arena[span.offset..<span.offset + span.count]).isSame(as: $0)
            }
        }
    }
}
