import TestSupport
import Testing

@testable import MintCache

@Suite("The items of the in-memory store")
struct S3FIFOCacheTests {
    private let now = WallTime(microseconds: 0)

    @Test("are found as they were stored last or not at all, whatever is stored, removed and evicted", arguments: 1...8)
    func random(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let capacity = 40_000
        var cache = S3FIFOCache(capacity: capacity)
        let keys = try (0..<400).map { try StoreKey("key:\($0)") }
        var last: [Int: [UInt8]] = [:]
        for step in 0..<20_000 {
            let number = Int.random(in: 0..<keys.count, using: &random)
            // Small values and large ones take turns, so that there are many items at times and few at others.
            let most = step / 2500 % 2 == 0 ? 20 : 8000
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<6:
                let count = Int.random(in: 0...most, using: &random)
                let value = [UInt8](repeating: UInt8(truncatingIfNeeded: step), count: count)
                try cache.store(value, under: keys[number], until: nil)
                last[number] = value
                #expect(cache.item(keys[number], at: now, isUse: false)?.bytes == value)
            case 6:
                cache.remove(keys[number])
                last[number] = nil
            default:
                if let item = cache.item(keys[number], at: now, isUse: true) { #expect(item.bytes == last[number]) }
            }
            #expect(cache.byteCount <= capacity)
        }
        var (count, bytes) = (0, 0)
        for number in keys.indices {
            guard let item = cache.item(keys[number], at: now, isUse: false) else { continue }
            #expect(item.bytes == last[number])
            count += 1
            bytes += keys[number].bytes.count + item.bytes.count + InMemoryStore.overheadPerItem
        }
        #expect(count == cache.count && bytes == cache.byteCount && count > 0)
    }
}

@Suite("An array in segments")
struct SegmentedArrayTests {
    @Test("has what was appended, and nothing that was removed")
    func appending() {
        var array = SegmentedArray<Int>()
        for round in 1...4 {
            for number in Int(array.endIndex)..<round * 1500 { array.append(number) }
            for index in 0..<array.endIndex where array[index] != Int(index) { Issue.record("\(index)") }
            for number in (round * 500..<round * 1500).reversed() { #expect(array.removeLast() == number) }
        }
        while array.endIndex > 0 { #expect(array.removeLast() == Int(array.endIndex)) }
        array.append(7)
        #expect(array[0] == 7 && array.endIndex == 1)
    }
}
