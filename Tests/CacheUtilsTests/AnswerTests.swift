import CacheUtils
import TestSupport
import Testing

@Suite("An answer", .timeLimit(.minutes(5)))
struct AnswerTests {
    private let clock = ManualClock()
    private let store: ScriptedStore
    private let cache: Cache
    private let loads = Counter()

    init() {
        store = ScriptedStore(InMemoryStore(clock: clock))
        cache = Cache(store: store, namespace: "s", clock: clock)
    }

    @Test("says where it is from, how old it is and for how long it is fresh")
    func provenance() async throws {
        let value = cache.cached("f", ttl: .seconds(60)) { [loads] in loads.increment() }
        let loaded = try await value.answer()
        #expect(loaded.value == 1 && loaded.source == .load && loaded.age == .zero && loaded.freshFor == .seconds(60))
        #expect(loaded.cacheStatus(of: "shop") == "shop; fwd=miss; stored; ttl=60" && loaded.ageHeader == nil)
        await cache.drain()
        clock.advance(by: .seconds(20))
        let hit = try await value.answer()
        #expect(hit.value == 1 && hit.source == .store && !hit.isStale)
        #expect(hit.age == .seconds(20) && hit.freshFor == .seconds(40))
        #expect(hit.cacheStatus(of: "shop") == "shop; hit; ttl=40" && hit.ageHeader == "20")
        clock.advance(by: .seconds(45))
        let stale = try await value.answer()
        #expect(stale.value == 1 && stale.source == .store && stale.isStale && stale.freshFor == .seconds(-5))
        #expect(stale.cacheStatus(of: "the shop \"x\"") == "\"the shop \\\"x\\\"\"; hit; ttl=-5")
        #expect(stale.ageHeader == "65")
    }

    @Test("that was loaded together with another's says so")
    func shared() async throws {
        let gate = Gate()
        let value = cache.cached("f", ttl: .seconds(60)) { [loads] in
            try await gate.pass()
            return loads.increment()
        }
        let first = Task { try await value.answer() }
        try await gate.arrival()
        let second = Task { try await value.answer() }
        try await eventually { store.count(.get) >= 2 }
        gate.open()
        #expect(try await first.value.source == .load)
        let answer = try await second.value
        #expect(answer.source == .sharedLoad && answer.value == 1)
        #expect(answer.cacheStatus(of: "s") == "s; fwd=miss; collapsed; ttl=60")
    }

    @Test("without the store is held, or loaded and not cached")
    func away() async throws {
        let value = cache.cached("f", ttl: .seconds(60), policy: CachePolicy(whenAway: .serveHeld(for: .seconds(30)))) {
            [loads] in loads.increment()
        }
        #expect(try await value() == 1)
        await cache.drain()
        store.setDown(true)
        let held = try await value.answer()
        #expect(held.source == .held && held.value == 1)
        #expect(held.cacheStatus(of: "s") == "s; hit; detail=held")
        clock.advance(by: .seconds(31))
        let loaded = try await value.answer()
        #expect(loaded.source == .load && loaded.value == 2 && loaded.freshFor == nil)
        #expect(loaded.cacheStatus(of: "s") == "s; fwd=miss")
    }
}
