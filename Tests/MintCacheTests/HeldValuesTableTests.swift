import TestSupport
import Testing

@testable import MintCache

@Suite("The table of held values")
struct HeldValuesTableTests {
    private let table = HeldValues()
    private let options = CacheEntry.Options(policy: CachePolicy(whenAway: .serveHeld(for: .seconds(60))))

    private func hold(_ number: Int, size: Int = 10) throws {
        table.hold(
            number, under: try StoreKey("key\(number)"), size: size, order: table.order, at: .milliseconds(number),
            until: WallTime(microseconds: .max))
    }

    private func value(_ number: Int) throws -> Int? {
        let entry = CacheEntry(key: try StoreKey("key\(number)"), options: options)
        return table.value(of: entry, at: (WallTime(microseconds: 0), .seconds(20)))
    }

    @Test("has room for so many, and for so many bytes, and those that were vouched for last stay")
    func bounds() throws {
        let most = HeldValues.most
        for number in 0..<most * 2 { try hold(number) }
        let kept = try (0..<most * 2).count { try value($0) != nil }
        #expect(kept > most / 3 && kept <= most)
        #expect(try (most * 2 - 1000..<most * 2).allSatisfy { try value($0) == $0 })
        for number in 0..<100 { try hold(number + 1_000_000, size: 1_000_000) }
        #expect(try (0..<100).count { try value($0 + 1_000_000) != nil } * 1_000_000 <= HeldValues.mostBytes)
        try hold(5, size: HeldValues.mostBytes)
        #expect(try value(5) == nil)
    }

    @Test("remembers so many invalidations one by one, and forgets none of the others")
    func invalidations() throws {
        try hold(1)
        table.invalidate(try StoreKey("key1"), settlingUntil: .zero)
        for number in 0..<20_000 { table.invalidate(try StoreKey("other\(number)"), settlingUntil: .zero) }
        #expect(try value(1) == nil)
        try hold(2)
        #expect(try value(2) == 2)
    }
}
