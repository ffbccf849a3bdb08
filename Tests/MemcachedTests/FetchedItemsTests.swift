import MintCache
import Testing

@testable import Memcached

@Suite("The items of a batch")
struct FetchedItemsTests {
    private static let large = FetchedItems.largestShared + 1

    private func text(_ size: Int, _ index: Int) -> String {
        String(repeating: Character(UnicodeScalar(UInt8(ascii: "a") + UInt8(index % 26))), count: size)
    }

    /// Takes items of these sizes; none for a negative one.
    private func fill(_ items: inout FetchedItems, _ sizes: [Int]) throws {
        items.reset(count: sizes.count)
        for (index, size) in sizes.enumerated() where size >= 0 { try items.set(index, to: text(size, index)) }
    }

    private func expect(_ items: [StoreItem?], _ sizes: [Int]) {
        for (index, size) in sizes.enumerated() {
            let found = items[index].map { String(decoding: $0.value, as: UTF8.self) }
            #expect(found == (size < 0 ? nil : text(size, index)))
            #expect(items[index]?.cas.rawValue == (size < 0 ? nil : UInt64(index + 1)))
        }
    }

    private func all(_ items: borrowing FetchedItems, _ count: Int) -> [StoreItem?] { (0..<count).map { items[$0] } }

    @Test("are those of their keys, whatever their sizes, and stay what they are while others are read")
    func values() throws {
        let batches = [
            [3, 0, -1, Self.large - 1, Self.large, 7, Self.large, 1], [-1, -1], [Self.large], [], [5],
            (0..<300).map { $0 % 40 - 1 }, (0..<300).map { $0 % 7 == 0 ? Self.large : Self.large - 1 - $0 },
        ]
        var items = FetchedItems()
        var kept: [[StoreItem?]] = []
        for sizes in batches + batches {
            try fill(&items, sizes)
            kept.append(all(items, sizes.count))
            items.release()
        }
        for (items, sizes) in zip(kept, batches + batches) { expect(items, sizes) }
    }

    @Test("can be removed and set again")
    func removing() throws {
        var items = FetchedItems()
        try fill(&items, [1, 2, Self.large, 4])
        items.remove(1..<3)
        expect(all(items, 4), [1, -1, -1, 4])
        try items.set(2, to: text(9, 2))
        expect(all(items, 4), [1, -1, 9, 4])
    }

    @Test("use the storage of those before when nobody has one of them")
    func storage() throws {
        func address(_ items: borrowing FetchedItems) -> UnsafeRawPointer? {
            items[0].flatMap { $0.value.withUnsafeBytes(\.baseAddress) }
        }
        var items = FetchedItems()
        try fill(&items, [100])
        let first = address(items)
        try fill(&items, [100])
        #expect(address(items) == first)
        let kept = items[0]
        try fill(&items, [100])
        #expect(address(items) != first)
        expect([kept], [100])
    }

    @Test("leave all other arrays to those who have them")
    func others() throws {
        var items = FetchedItems()
        // The last value is in an array with few others, which it is the last to have.
        for (sizes, index) in [([Self.large], 0), ([Int](repeating: 1000, count: 66), 65)] {
            try fill(&items, sizes)
            var value = try #require(items[index]).value
            items.release()
            let address = value.withUnsafeBytes(\.baseAddress)
            value[value.startIndex] = 0
            #expect(value.withUnsafeBytes(\.baseAddress) == address, "it is nobody else's")
        }
        try fill(&items, [Self.large, Self.large])
        expect(all(items, 2), [Self.large, Self.large])
    }

    @Test("can be copied out of what they share, which is of one size, whatever else was read")
    func sharing() throws {
        var items = FetchedItems()
        var kept: [StoreItem?] = []
        for sizes in [[5], [Int](repeating: 1000, count: 300), [5], [Int](repeating: 385, count: 170), [5]] {
            try fill(&items, sizes)
            kept.append(items[sizes.count - 1])
            for index in sizes.indices {
                let value = try #require(items[index]).value
                let copy = Array(value)
                #expect(copy.withUnsafeBytes(\.baseAddress) != value.withUnsafeBytes(\.baseAddress))
                #expect(copy.capacity < sizes[index] + 64)
            }
            // The capacity of a slice at the end of what is filled reaches to the end of the array.
            let last = try #require(items[sizes.count - 1]).value
            #expect(last.endIndex + last.capacity - last.count < FetchedItems.sharedSize + 100)
            items.release()
        }
    }

    @Test("leave no trace of a large batch for the small ones after it")
    func manyKeys() throws {
        var items = FetchedItems()
        try fill(&items, [Int](repeating: 1, count: FetchedItems.mostKeptLocations + 1))
        items.release()
        try fill(&items, [1])
        #expect(items.locations.count == 1)
    }
}
