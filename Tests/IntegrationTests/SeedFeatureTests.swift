import CacheUtils
import Foundation
import TestSupport
import Testing

private func shout(_ text: String) async -> String { text.uppercased() }

private struct Greeter: Sendable {
    var greeting: String
    let calls = Counter()

    func greet(_ name: String) async throws -> String {
        calls.increment()
        return "\(greeting), \(name)"
    }

    static func farewell(_ name: String, loudly: Bool) -> String { loudly ? "BYE \(name)" : "bye \(name)" }
}

/// The eleven features of django-cache-utils, by their numbers in our survey of the field, each on every store.
@Suite("Features of the seed", .timeLimit(.minutes(5)))
struct SeedFeatureTests {
    @Test("1: wraps a function, a method or a type method", arguments: StoreKind.allCases)
    func wrapsAnything(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let greeter = Greeter(greeting: "Hello")
            let global = bench.cache.cached("shout", ttl: .seconds(60), load: shout)
            let method = bench.cache.cached("Greeter.greet", ttl: .seconds(60), load: greeter.greet)
            let typeMethod = bench.cache.cached("Greeter.farewell", ttl: .seconds(60), load: Greeter.farewell)
            let actorMethod = bench.cache.cached("City.get", ttl: .seconds(60)) { (slug: String) in
                try await bench.database.city(slug)
            }
            let noArguments = bench.cache.cached("answer", ttl: .seconds(60)) { 42 }
            for _ in 1...2 {
                #expect(try await global("a") == "A")
                #expect(try await method("Ann") == "Hello, Ann")
                #expect(try await typeMethod("Ann", true) == "BYE Ann")
                #expect(try await typeMethod("Ann", false) == "bye Ann")
                #expect(try await actorMethod("paris").name == "paris")
                #expect(try await noArguments() == 42)
                await bench.settle()
            }
            #expect(greeter.calls.value == 1)
            #expect(await bench.database.queries == 1)
            #expect(bench.statistics.snapshot.hits == 6)
        }
    }

    @Test(
        "2: invalidates exactly, with the same arguments; self plays no part in the key",
        arguments: StoreKind.allCases
    )
    func exactInvalidation(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let city = bench.city()
            _ = try await (city("paris"), city("rome"))
            await bench.database.update("paris", population: 2)
            await bench.database.update("rome", population: 2)
            try await city.invalidate("paris")
            #expect(try await city("paris").population == 2)
            #expect(try await city("rome").population == 1)

            let one = bench.cache.cached("greet", ttl: .seconds(60), load: Greeter(greeting: "Hello").greet)
            let other = bench.cache.cached("greet", ttl: .seconds(60), load: Greeter(greeting: "Servus").greet)
            #expect(try one.key("Ann") == other.key("Ann"))
            #expect(try await one("Ann") == "Hello, Ann")
            try await other.invalidate("Ann")
            #expect(try await other("Ann") == "Servus, Ann")
        }
    }

    @Test("3: invalidates a group in one write, whatever its size", arguments: StoreKind.allCases)
    func groupInvalidation(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let scripted = ScriptedStore(store)
            let bench = Bench(scripted)
            let city = bench.city(groups: ["cities", "europe"])
            let country = bench.cache.cached("Country.get", ttl: .seconds(60), groups: ["countries"]) { (id: Int) in id
            }
            for number in 0..<50 { _ = try await city("\(number)") }
            _ = try await country(1)
            await bench.settle()
            scripted.resetCounts()
            try await bench.cache.invalidate(group: "europe")
            #expect(scripted.roundTrips == 1)
            for number in 0..<50 { #expect(try await city.peek("\(number)") == nil) }
            #expect(try await country.peek(1) == 1)
            _ = try await city("0")
            #expect(await bench.database.queries == 51)
        }
    }

    @Test("4: keys are built from the full name and the arguments: readable and safe", arguments: StoreKind.allCases)
    func readableKeys(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let cache = Bench(store).cache
            let get = cache.cached("City.get", ttl: .seconds(60)) { (slug: String, page: Int, filter: String?) in
                "\(slug) \(page) \(filter ?? "-")"
            }
            #expect(try get.key("paris", 3, nil).description == #"shop:7:City.get("paris",3,nil)"#)
            let hostile = "a b\r\nset x 0 0 1\r\n"
            #expect(
                try get.key(hostile, 1, "ü\"%").description
                    == #"shop:7:City.get("a%20b%0D%0Aset%20x%200%200%201%0D%0A",1,"ü\"%25")"#
            )
            #expect(try await get(hostile, 1, "x") == "\(hostile) 1 x")
            #expect(try await get.peek(hostile, 1, "x") == "\(hostile) 1 x")
        }
    }

    @Test(
        "5: MintCache: one caller recomputes an expired value, the others are served the stale one",
        arguments: StoreKind.allCases
    )
    func mintCache(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let gate = Gate()
            let loads = Counter()
            func price(in cache: Cache) -> CachedFunction<Int, String> {
                cache.cached("price", ttl: .seconds(60), groups: ["prices"]) { (_: Int) in
                    let number = loads.increment()
                    if number > 1 { try await gate.pass() }
                    return "price \(number)"
                }
            }
            let processes = [price(in: bench.cache), price(in: bench.otherProcess()), price(in: bench.otherProcess())]
            for process in processes {
                #expect(try await process(1) == "price 1")
                await bench.settle()
            }
            bench.clock.advance(by: .seconds(61))
            // The claim is written before the loader starts, so from here on it stands.
            #expect(try await processes[0](1) == "price 1")
            try await gate.arrival()
            for _ in 1...20 {
                for process in processes { #expect(try await process(1) == "price 1") }
            }
            #expect(loads.value == 2)
            gate.open()
            await bench.settle()
            for process in processes { #expect(try await process(1) == "price 2") }
            #expect(loads.value == 2)
        }
    }

    @Test(
        "6: the namespace and the version are in every key: graceful upgrades, several projects on one server",
        arguments: StoreKind.allCases
    )
    func versions(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let old = bench.city()
            let new = bench.city(in: bench.otherProcess(version: "8"))
            let elsewhere = bench.city(in: Cache(store: store, namespace: "blog", version: "7", clock: bench.clock))
            _ = try await old("paris")
            #expect(try await new.peek("paris") == nil)
            #expect(try await elsewhere.peek("paris") == nil)
            _ = try await (new("paris"), elsewhere("paris"))
            try await new.invalidate("paris")
            #expect(try await old.peek("paris") != nil)
            #expect(try await elsewhere.peek("paris") != nil)
            #expect(try await new.peek("paris") == nil)
            // A group is the namespace's.
            try await bench.otherProcess(version: "8").invalidate(group: "cities")
            #expect(try await old.peek("paris") == nil)
            #expect(try await elsewhere.peek("paris") != nil)
        }
    }

    @Test("7: a key over 250 bytes keeps its head and ends in a digest", arguments: StoreKind.allCases)
    func longKeys(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let city = bench.city()
            for letters in [240, 500] {
                let slug = String(repeating: "ж", count: letters)
                let key = try city.key(slug)
                #expect(key.bytes.count <= 250)
                #expect(key.description.hasPrefix(#"shop:7:City.get("жжжж"#))
                #expect(key.description.wholeMatch(of: /.*-[0-9a-f]{64}/) != nil)
                #expect(try await city(slug).name == slug)
                #expect(try await city.peek(slug)?.name == slug)
                #expect(try await city.peek(slug + "ж") == nil)
                try await city.invalidate(slug)
                #expect(try await city.peek(slug) == nil)
            }
        }
    }

    @Test("8: nil is not cached, unless the call says for how long", arguments: StoreKind.allCases)
    func nilBypass(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let find = bench.cache.cached("City.find", ttl: .seconds(60)) { (slug: String) in
                await bench.database.find(slug)
            }
            #expect(try await find("atlantis") == nil)
            #expect(try await find("atlantis") == nil)
            #expect(await bench.database.queries == 2)
            await bench.database.update("atlantis", population: 3)
            #expect(try await find("atlantis")?.population == 3)
            #expect(try await find("atlantis")?.population == 3)
            #expect(await bench.database.queries == 3)

            let remember = bench.cache.cached(
                "City.findOften", ttl: .seconds(60), staleFor: .zero, nilFor: .seconds(3_600)
            ) { (slug: String) in
                await bench.database.find(slug)
            }
            #expect(try await remember("thule") == nil)
            #expect(try await remember("thule") == nil)
            #expect(await bench.database.queries == 4)
            #expect(try await remember.peek("thule") == .some(nil))
            await bench.settle()
            bench.clock.advance(by: .seconds(3_601))
            #expect(try await remember("thule") == nil)
            #expect(await bench.database.queries == 5)
        }
    }

    @Test("9: a hit is one round trip, grouped or not", arguments: StoreKind.allCases)
    func roundTrips(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let scripted = ScriptedStore(store)
            let bench = Bench(scripted)
            for groups in [[], ["a"], ["a", "b", "c"]] {
                let city = bench.city(groups: groups)
                _ = try await city("\(groups.count)")
                await bench.settle()
                scripted.resetCounts()
                _ = try await city("\(groups.count)")
                #expect(scripted.roundTrips == 1)
                #expect(scripted.count(.get) == 1)
            }
        }
    }

    @Test("10: invalidation is wired to database events", arguments: StoreKind.allCases)
    func databaseEvents(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let scripted = ScriptedStore(store)
            let bench = Bench(scripted)
            let city = bench.city()
            let country = bench.cache.cached("Country.get", ttl: .seconds(60), groups: ["countries"]) { (id: Int) in id
            }
            _ = try await (city("paris"), city("rome"), country(1))
            _ = try await bench.cache.value(forKey: "count", ttl: .seconds(60)) { 3 }
            let (changes, feed) = AsyncStream<String>.makeStream()
            feed.yield("paris")
            feed.finish()
            // The first attempt fails: the event must not be lost.
            scripted.next(.delete, .failBefore)
            let wiring = Task {
                try await bench.cache.invalidate(on: changes) { slug in
                    [try .call(city, slug), .group("countries"), .key("count")]
                }
            }
            try await eventually { bench.clock.pausing == 1 }
            bench.clock.advance(by: .seconds(1))
            try await wiring.value
            #expect(try await city.peek("paris") == nil)
            #expect(try await city.peek("rome") != nil)
            #expect(try await country.peek(1) == nil)
            #expect(try await bench.cache.value(forKey: "count", ttl: .seconds(60)) { 4 } == 4)
        }
    }

    @Test("10, for functions of several caches: each is invalidated in its own")
    func eventsForSeveralCaches() async throws {
        let (one, other) = (Bench(InMemoryStore()), Bench(InMemoryStore()))
        let city = one.city()
        _ = try await city("paris")
        let (changes, feed) = AsyncStream<String>.makeStream()
        feed.yield("paris")
        feed.finish()
        try await other.cache.invalidate(on: changes) { [try .call(city, $0)] }
        #expect(try await city.peek("paris") == nil)
    }

    @Test("11: recompute now, only if cached, the key of a call, a key of one's own", arguments: StoreKind.allCases)
    func laterVersions(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let city = bench.city()
            #expect(try await city.peek("paris") == nil)
            #expect(await bench.database.queries == 0)
            _ = try await city("paris")
            await bench.database.update("paris", population: 5)
            #expect(try await city("paris").population == 1)
            #expect(try await city.refresh("paris").population == 5)
            #expect(try await city("paris").population == 5)
            #expect(try await city.peek("paris")?.population == 5)
            #expect(try await store.get(city.key("paris")) != nil)
            #expect(try await bench.cache.value(forKey: "my own", ttl: .seconds(60)) { 1 } == 1)
            #expect(try await store.get(StoreKey("shop:7:my%20own")) != nil)
            try await bench.cache.invalidate(key: "my own")
            #expect(try await store.get(StoreKey("shop:7:my%20own")) == nil)
        }
    }
}
