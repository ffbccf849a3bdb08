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
            (0..<300).map { $0 % 40 - 1 },
        ]
        var items = FetchedItems()
        var kept: [[StoreItem?]] = []
        for sizes in batches + batches {
            try fill(&items, sizes)
            kept.append(all(items, sizes.count))
            items.releaseLarge()
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

    @Test("leave large ones to those who have them")
    func large() throws {
        var items = FetchedItems()
        try fill(&items, [100, Self.large])
        var value = try #require(items[1]).value
        items.releaseLarge()
        let address = value.withUnsafeBytes(\.baseAddress)
        value[value.startIndex] = 0
        #expect(value.withUnsafeBytes(\.baseAddress) == address, "it is nobody else's")
        try fill(&items, [Self.large, Self.large])
        expect(all(items, 2), [Self.large, Self.large])
    }
}
