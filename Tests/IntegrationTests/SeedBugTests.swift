import CacheUtils
import TestSupport
import Testing

/// The nine bugs of django-cache-utils in our survey of the field: what is right where the seed is wrong, on every
/// store.
@Suite("Bugs of the seed", .timeLimit(.minutes(5)))
struct SeedBugTests {
    @Test("1: grouped keys, and keys under a version, are refreshed by one caller too", arguments: StoreKind.allCases)
    func refreshMarkIsOnTheRightKey(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store, version: "7.1:beta")
            let gate = Gate()
            let loads = Counter()
            let grouped = bench.cache.cached("grouped", ttl: .seconds(60), groups: ["a", "b"]) {
                if loads.increment() > 1 { try await gate.pass() }
                return loads.value
            }
            #expect(try await grouped() == 1)
            await bench.settle()
            bench.clock.advance(by: .seconds(61))
            for _ in 1...10 { #expect(try await grouped() == 1) }
            try await gate.arrival()
            for _ in 1...10 { #expect(try await grouped() == 1) }
            #expect(loads.value == 2)
            gate.open()
            try await eventually { try await grouped() == 2 }
        }
    }

    @Test(
        "2: a value loaded before a group invalidation does not land under the new generation",
        arguments: StoreKind.allCases
    )
    func stampsAreReadBeforeTheLoad(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let gate = Gate()
            let loads = Counter()
            let slow = bench.cache.cached("slow", ttl: .seconds(60), groups: ["a", "b"]) {
                try await loads.next(firstWaitsAt: gate)
            }
            let first = Task { try await slow() }
            try await gate.arrival()
            try await bench.otherProcess().invalidate(group: "b")
            gate.open()
            #expect(try await first.value == 1)
            #expect(try await slow.peek() == nil)
            #expect(try await slow() == 2)
        }
    }

    @Test("3: a group outlives the longest of its values", arguments: StoreKind.allCases)
    func generationKeysDoNotExpire(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let recorder = ExpiryRecorder(store)
            let bench = Bench(recorder)
            let day = bench.city(ttl: .seconds(86_400))
            _ = try await day("paris")
            try await bench.cache.invalidate(group: "cities")
            _ = try await day("paris")
            let group = try StoreKey("shop:@cities")
            #expect(recorder.expiries(of: group) == [nil, nil])
            await bench.settle()
            bench.clock.advance(by: .seconds(86_000))
            _ = try await day("paris")
            #expect(await bench.database.queries == 2)
        }
    }

    @Test("4: one caller wins the refresh, and it does not bring back a deleted value", arguments: StoreKind.allCases)
    func claimIsCompareAndSwap(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let loads = Counter()
            let scripted = ScriptedStore(store)
            let bench = Bench(scripted)
            let value = bench.cache.cached("value", ttl: .seconds(60)) { loads.increment() }
            #expect(try await value() == 1)
            await bench.settle()
            bench.clock.advance(by: .seconds(61))
            // The claim is held up, and the value is invalidated before it arrives.
            let gate = Gate()
            scripted.next(.compareAndSwap, .pauseBefore(gate))
            #expect(try await value() == 1)
            try await gate.arrival()
            try await value.invalidate()
            gate.open()
            #expect(try await value.peek() == nil)
            #expect(try await value() == 2)
            #expect(loads.value == 2)

            // Many callers in many processes at once: one of them refreshes.
            await bench.settle()
            bench.clock.advance(by: .seconds(61))
            let caches = (1...8).map { _ in bench.otherProcess() }
            let processes = caches.map { cache in
                cache.cached("value", ttl: .seconds(60)) { loads.increment() }
            }
            try await withThrowingTaskGroup(of: Int.self) { group in
                for process in processes {
                    for _ in 1...20 { group.addTask { try await process() } }
                }
                for try await value in group { #expect([2, 3].contains(value)) }
            }
            // Whichever process has claimed the refresh.
            try await eventually { loads.value == 3 }
            for cache in caches { #expect(await cache.drain().isComplete) }
            for process in processes { #expect(try await process() == 3) }
            #expect(loads.value == 3)
        }
    }

    @Test("5: invalidates in a process that never called the function", arguments: StoreKind.allCases)
    func invalidatesFromAnywhere(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let city = bench.city()
            _ = try await city("paris")
            _ = try await bench.cache.value(forKey: "offers", ttl: .seconds(60)) { 1 }
            let fresh = bench.otherProcess()
            try await bench.city(in: fresh).invalidate("paris")
            try await fresh.invalidate(key: "offers")
            #expect(try await city.peek("paris") == nil)
            #expect(try await bench.cache.value(forKey: "offers", ttl: .seconds(60)) { 2 } == 2)
            _ = try await city("paris")
            try await bench.otherProcess().invalidate(group: "cities")
            #expect(try await city.peek("paris") == nil)
        }
    }

    @Test("6: arguments that differ in what a key cannot hold do not share a value", arguments: StoreKind.allCases)
    func escapingIsReversible(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let echo = Bench(store).cache.cached("f", ttl: .seconds(60)) { (text: String) in text }
            let texts = [
                "a b", "ab", "a%20b", "a\tb", "a\nb", "a\u{7F}b", "\"", "\\\"", "", "a,b", "a)b", "é", "e\u{301}",
            ]
            for text in texts { #expect(try await Array(echo(text).utf8) == Array(text.utf8)) }
            for text in texts { #expect(try await echo.peek(text).map { Array($0.utf8) } == Array(text.utf8)) }
            #expect(Set(try texts.map { try echo.key($0) }).count == texts.count)
        }
    }

    @Test("7: the length of a key is counted in bytes", arguments: StoreKind.allCases)
    func lengthIsInBytes(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let echo = Bench(store).cache.cached("f", ttl: .seconds(60)) { (text: String) in text }
            for length in 100...130 {
                let text = String(repeating: "ы", count: length)
                #expect(try echo.key(text).bytes.count <= 250)
                #expect(try await echo(text) == text)
                #expect(try await echo.peek(text) == text)
            }
        }
    }

    @Test("8: one call has one key, however it is written", arguments: StoreKind.allCases)
    func oneKeyForOneCall(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            @Sendable func search(text: String, limit: Int = 10) async -> Int { limit }
            let labelled = bench.cache.cached("search", ttl: .seconds(60), load: search(text:limit:))
            let closure = bench.cache.cached("search", ttl: .seconds(60)) { (text: String, limit: Int) in
                await search(text: text, limit: limit)
            }
            #expect(try labelled.key("a", 10) == closure.key("a", 10))
            _ = try await labelled("a", 10)
            try await closure.invalidate("a", 10)
            #expect(try await labelled.peek("a", 10) == nil)
        }
    }

    @Test("9: a refresher that died, or a cold start, brings no herd", arguments: StoreKind.allCases)
    func noHerd(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let loads = Counter()
            let cold = bench.cache.cached("cold", ttl: .seconds(60), staleFor: .seconds(600)) { loads.increment() }
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 1...200 { group.addTask { try await cold() } }
                for try await value in group { #expect(value == 1) }
            }
            #expect(loads.value == 1)

            // Another process claims the refresh and is never heard of again.
            await bench.settle()
            bench.clock.advance(by: .seconds(61))
            let never = Gate()
            let dying = bench.otherProcess().cached("cold", ttl: .seconds(60), staleFor: .seconds(600)) {
                try await never.pass()
                return 0
            }
            #expect(try await dying() == 1)
            try await never.arrival()
            for _ in 1...50 { #expect(try await cold() == 1) }
            #expect(loads.value == 1)
            bench.clock.advance(by: .seconds(31))
            for _ in 1...50 { #expect([1, 2].contains(try await cold())) }
            await bench.settle()
            #expect(try await cold() == 2)
            #expect(loads.value == 2)
            never.open()
        }
    }
}
