import CacheUtils
import TestSupport
import Testing

/// `with`, `grouped` and `keyed` of a cached function, and functions that are made again and again.
@Suite("A cached function that is made of another", .timeLimit(.minutes(5)))
struct VariantTests {
    private let clock = ManualClock()
    private let store: ScriptedStore
    private let cache: Cache
    private let loads = Counter()

    init() {
        store = ScriptedStore(InMemoryStore(clock: clock), tellsIDs: true)
        cache = Cache(store: store, namespace: "s", clock: clock, trapsBadOptions: false)
    }

    private var city: CachedFunction<String, String, Int> {
        cache.cached("city", ttl: .seconds(60), groups: ["cities"]) { [loads] (_: String, _: String) in
            loads.increment()
        }
        .grouped { _, country in ["country:\(country)"] }
    }

    @Test("has groups that depend on the arguments, at no more round trips")
    func groups() async throws {
        #expect(try await city("paris", "fr") == 1)
        #expect(try await city("lyon", "fr") == 2)
        #expect(try await city("rome", "it") == 3)
        await cache.drain()
        store.resetCounts()
        #expect(try await city("paris", "fr") == 1)
        #expect(store.roundTrips == 1)
        try await cache.invalidate(group: "country:fr")
        #expect(try await city.peek("paris", "fr") == nil)
        #expect(try await city.peek("rome", "it") == 3)
        #expect(try await city.many([("paris", "fr"), ("rome", "it"), ("paris", "fr")]) == [4, 3, 4])
        await cache.drain()
        try await cache.invalidate(group: "cities")
        #expect(try await city.peek("rome", "it") == nil)
        try await city.expire("paris", "fr")
        #expect(try await city.refresh("paris", "fr") == 5)
    }

    @Test("has them for each of many values, at no more round trips and with one load")
    func groupsOfMany() async throws {
        let batches = Counter()
        let city = cache.cached("city", ttl: .seconds(60)) { (slug: String, _: String) in
            slug
        } loadMany: { cities in
            batches.increment()
            return cities.map(\.0)
        }
        .grouped { _, country in ["country:\(country)"] }
        let cities = [("paris", "fr"), ("rome", "it"), ("lyon", "fr"), ("oslo", "no")]
        #expect(try await city.many(cities) == ["paris", "rome", "lyon", "oslo"])
        await cache.drain()
        #expect(batches.value == 1)
        store.resetCounts()
        #expect(try await city.many(cities) == ["paris", "rome", "lyon", "oslo"])
        #expect(store.roundTrips == 1)
        try await cache.invalidate(group: "country:fr")
        #expect(try await city.peek("lyon", "fr") == nil)
        #expect(try await city.peek("oslo", "no") == "oslo")
        store.resetCounts()
        #expect(try await city.many(cities) == ["paris", "rome", "lyon", "oslo"])
        await cache.drain()
        #expect(batches.value == 2)
        #expect(store.count(.get) == 1)
        #expect(try await city("paris", "fr") == "paris")
    }

    @Test("keeps the groups that it had before")
    func moreGroups() async throws {
        let more = city.grouped { slug, _ in ["slug:\(slug)"] }
        for group in ["country:fr", "slug:paris", "cities"] {
            let before = try await more("paris", "fr")
            await cache.drain()
            #expect(try await more.peek("paris", "fr") == before)
            try await cache.invalidate(group: group)
            #expect(try await more.peek("paris", "fr") == nil)
        }
    }

    @Test("says what is wrong with a group without a name, when it is called")
    func namelessGroup() async {
        let bad = cache.cached("bad", ttl: .seconds(60)) { (_: Int) in 1 }.grouped { _ in [""] }
        let error = await #expect(throws: CacheError.self) { try await bad(1) }
        #expect(error?.code == .invalidKey)
    }

    @Test("has one more part in its keys, as if it were the first argument")
    func keyed() async throws {
        let profile = cache.cached("profile", ttl: .seconds(60)) { [loads] (_: String) in loads.increment() }
        let (one, two) = (profile.keyed(by: 1), profile.keyed(by: 2))
        #expect(try await one("x") == 1)
        #expect(try await two("x") == 2)
        await cache.drain()
        #expect(try await one("x") == 1)
        try await one.invalidate("x")
        #expect(try await one.peek("x") == nil)
        #expect(try await two.peek("x") == 2)
        #expect(try one.key("x").description == "s:1:profile(1,\"x\")")
        // No two argument lists share a key.
        let none = cache.cached("profile") { 1 }
        let keys = try [
            none.keyed(by: 1).key(), none.key(), none.keyed(by: "").key(), none.keyed(by: 1).keyed(by: 2).key(),
            profile.key(""), one.key(""),
        ]
        #expect(Set(keys).count == keys.count)
    }

    @Test("shares what is cached with all that are made at the same place, and calls its own function")
    func madeAgain() async throws {
        func function(_ value: Int, ttl: Duration = .seconds(60)) -> CachedFunction<Int, Int> {
            cache.cached("f", ttl: ttl) { (_: Int) in value }
        }
        #expect(try await function(1)(1) == 1)
        await cache.drain()
        #expect(try await function(2)(1) == 1)
        #expect(try await function(2)(2) == 2)
        // Other options count, also later.
        #expect(try await function(3, ttl: .seconds(5))(3) == 3)
        await cache.drain()
        #expect(try await function(4, ttl: .seconds(5)).answer(3).freshFor == .seconds(5))
        #expect(try await function(5)(5) == 5)
        await cache.drain()
        #expect(try await function(6).answer(5).freshFor == .seconds(60))
    }

    @Test("shares the bound on its loads, and what is decoded, with all that are made at the same place")
    func sharedBound() async throws {
        struct Name: Codable, Sendable, Equatable {
            var name: String
        }
        let (gate, running) = (Gate(), Counter())
        func function() -> CachedFunction<Int, Name> {
            cache.cached("f", policy: CachePolicy(ttl: .seconds(60), maximumLoads: 2)) { (number: Int) in
                running.increment()
                try await gate.pass()
                return Name(name: "\(number)")
            }
        }
        let calls = (0..<6).map { number in Task { try await function()(number) } }
        try await eventually { store.count(.get) >= 6 && running.value == 2 }
        for _ in 0..<100 { await Task.yield() }
        #expect(running.value == 2)
        gate.open()
        for (number, call) in calls.enumerated() { #expect(try await call.value == Name(name: "\(number)")) }
    }

    @Test("keeps nothing that an earlier one was made with")
    func letsGo() async throws {
        final class Database: Sendable {}
        weak var known: Database?
        func call() async throws {
            let database = Database()
            known = database
            let function = cache.cached("f", ttl: .seconds(60)) { (_: Int) in
                withExtendedLifetime(database) { 1 }
            }
            _ = try await function(1)
            await cache.drain()
        }
        try await call()
        try await eventually { known == nil }
    }
}
