import CacheUtils
import TestSupport
import Testing

@testable import MintCache

@Suite("Groups that are kept warm", .timeLimit(.minutes(5)))
struct WarmGroupTests {
    @Test("are those that are read most, and their stamps are read while nobody else does")
    func reads() async throws {
        let clock = ManualClock()
        let store = ScriptedStore(InMemoryStore(clock: clock))
        let cache = Cache(store: store, namespace: "shop", warmGroupCount: 1, clock: clock)
        let city = cache.cached("city", ttl: .seconds(600), groups: ["cities"]) { (number: Int) in number }
        for number in 0..<40 { _ = try await city(number) }
        await cache.drain()
        for _ in 1...3 {
            store.resetCounts()
            try await eventually {
                clock.advance(by: WarmGroups.interval)
                return store.count(.get) > 0
            }
        }
        withExtendedLifetime(cache) {}
    }

    @Test("are counted, and give way to those that are read more")
    func counting() throws {
        let groups = WarmGroups(2)
        let (a, b, c) = try (StoreKey("a"), StoreKey("b"), StoreKey("c"))
        for _ in 0..<16 * 8 { groups.note([a]) }
        for _ in 0..<16 * 4 { groups.note([b]) }
        for _ in 0..<16 * 2 { groups.note([c]) }
        #expect(groups.warmest == [a, b])
        for _ in 0..<16 * 8 { groups.note([c]) }
        #expect(groups.warmest == [c, a])
        for number in 0..<16 * 5000 { groups.note([try StoreKey("\(number)")]) }
        #expect(groups.warmest == [c, a])
        for _ in 0..<16 * 5000 { groups.note([b]) }
        #expect(groups.warmest.first == b)
    }

    @Test("end with their cache")
    func end() async throws {
        let clock = ManualClock()
        do {
            let cache = ReadThroughCache(store: InMemoryStore(clock: clock), clock: clock, warmGroupCount: 3)
            try await eventually { clock.sleeping == 1 }
            withExtendedLifetime(cache) {}
        }
        clock.advance(by: WarmGroups.interval)
        try await eventually { clock.sleeping == 0 }
    }
}
