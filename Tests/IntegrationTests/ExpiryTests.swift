import CacheUtils
import TestSupport
import Testing

/// Soft invalidation.
@Suite("What was expired", .timeLimit(.minutes(5)))
struct ExpiryTests {
    private static let stores: [StoreKind] = StoreKind.allCases + [.twoServers]

    enum Target: CaseIterable {
        case key, group, list

        func expire(_ city: CachedFunction<String, City>, in cache: Cache) async throws {
            switch self {
            case .key: try await city.expire("paris")
            case .group: try await cache.expire(group: "cities")
            case .list: try await city.expire(many: ["rome", "paris"])
            }
        }
    }

    @Test(
        "is served stale while one caller in the fleet refreshes it, and is fresh then", arguments: stores,
        Target.allCases)
    func refreshed(kind: StoreKind, target: Target) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let other = bench.otherProcess()
            let city = bench.city(ttl: .seconds(600), refresh: .background)
            let elsewhere = bench.city(in: other, ttl: .seconds(600), refresh: .background)
            for round in 1...3 {
                await bench.database.update("paris", population: round)
                if round == 1 {
                    #expect(try await city("paris").population == 1)
                } else {
                    #expect(try await city("paris").population == round - 1)
                    #expect(try await elsewhere("paris").population == round - 1)
                    try await target.expire(city, in: bench.cache)
                    #expect(try await elsewhere.peek("paris")?.population == round - 1)
                    let stale = bench.statistics.snapshot.stale
                    #expect(try await city("paris").population == round - 1)
                    #expect(bench.statistics.snapshot.stale == stale + 1)
                    await bench.settle()
                }
                await bench.settle()
                for function in [city, elsewhere] { #expect(try await function("paris").population == round) }
                #expect(await bench.database.queries == round)
            }
        }
    }

    @Test("is gone when nobody has refreshed it for as long as it may be served stale", arguments: Target.allCases)
    func tooOld(target: Target) async throws {
        let clock = ManualClock()
        let bench = Bench(InMemoryStore(clock: clock), clock: clock)
        let city = bench.city(ttl: .seconds(600))
        _ = try await city("paris")
        await bench.settle()
        clock.advance(by: .seconds(100))
        try await target.expire(city, in: bench.cache)
        clock.advance(by: .seconds(29))
        #expect(try await city.peek("paris") != nil)
        clock.advance(by: .seconds(1))
        #expect(try await city.peek("paris") == nil)
    }

    /// Its values are the numbers of their loads, one of which stops at a gate.
    private func city(
        in cache: Cache, ttl: Duration, _ loads: Counter, stopping number: Int, at gate: Gate
    ) -> CachedFunction<String, City> {
        cache.cached("City.get", ttl: ttl, groups: ["cities"]) { slug in
            let load = loads.increment()
            if load == number { try await gate.pass() }
            return City(name: slug, population: load)
        }
    }

    @Test("while it was being loaded is stale at once, and shared with nobody as fresh", arguments: Target.allCases)
    func loading(target: Target) async throws {
        let clock = ManualClock()
        let store = InMemoryStore(clock: clock)
        let statistics = CacheStatistics()
        let cache = Cache(store: store, namespace: "shop", clock: clock, observer: statistics)
        let (gate, loads) = (Gate(), Counter())
        let city = city(in: cache, ttl: .seconds(600), loads, stopping: 1, at: gate)
        async let first = city("paris")
        try await gate.arrival()
        try await target.expire(city, in: cache)
        async let second = city("paris")
        for _ in 0..<1000 { await Task.yield() }
        gate.open()
        #expect(try await first.population == 1)
        // It may be served the old value, as stale.
        #expect(try await second.population == 1)
        #expect(statistics.snapshot.stale == 1 && statistics.snapshot.misses == 1)
        await cache.drain()
        #expect(try await city("paris").population == 2)
        #expect(loads.value == 2)
    }

    @Test("and was claimed before is refreshed once more", arguments: Target.allCases)
    func claimed(target: Target) async throws {
        let clock = ManualClock()
        let cache = Cache(store: InMemoryStore(clock: clock), namespace: "shop", clock: clock)
        let (gate, loads) = (Gate(), Counter())
        let city = city(in: cache, ttl: .seconds(60), loads, stopping: 2, at: gate)
        _ = try await city("paris")
        await cache.drain()
        clock.advance(by: .seconds(60))
        #expect(try await city("paris").population == 1)
        try await gate.arrival()
        try await target.expire(city, in: cache)
        gate.open()
        await cache.drain()
        #expect(try await city("paris").population == 2)
        await cache.drain()
        #expect(try await city("paris").population == 3)
        #expect(loads.value == 3)
    }

    @Test("does not bring back what was invalidated, before or after", arguments: stores, Target.allCases)
    func hardWins(kind: StoreKind, target: Target) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let city = bench.city()
            for expiresFirst in [true, false] {
                for invalidatesGroup in [true, false] {
                    _ = try await city("paris")
                    await bench.settle()
                    if expiresFirst { try await target.expire(city, in: bench.cache) }
                    if invalidatesGroup {
                        try await bench.cache.invalidate(group: "cities")
                    } else {
                        try await city.invalidate("paris")
                    }
                    if !expiresFirst { try await target.expire(city, in: bench.cache) }
                    #expect(try await city.peek("paris") == nil)
                }
            }
        }
    }

    @Test("by key and by list, in other versions too")
    func keys() async throws {
        let clock = ManualClock()
        let store = InMemoryStore(clock: clock)
        let loads = Counter()
        let caches = ["7", "8"].map { version in
            Cache(store: store, namespace: "shop", version: version, invalidatesAlso: ["7", "8"], clock: clock)
        }
        func value(_ cache: Cache) async throws -> Int {
            try await cache.value(forKey: "offers", ttl: .seconds(600)) { loads.increment() }
        }
        #expect(try await [value(caches[0]), value(caches[1])] == [1, 2])
        for cache in caches { await cache.drain() }
        try await caches[0].expire(key: "offers")
        #expect(try await [value(caches[0]), value(caches[1])] == [1, 2])
        for cache in caches { await cache.drain() }
        #expect(try await value(caches[0]) > 2)
        #expect(try await value(caches[1]) > 2)
        try await caches[0].expire(keys: ["nothing"], groups: ["nobody"])
        #expect(loads.value == 4)
    }
}
