import CacheUtils
import Memcached
import MemcachedProcess
import TestSupport
import Testing

/// An invalidation is sent whatever becomes of the task that asked for it, and whatever becomes of others.
@Suite("An invalidation depends on nothing else", .timeLimit(.minutes(5)))
struct InvalidationTests {
    @Test("not on its caller's task, which may be cancelled before or meanwhile", arguments: StoreKind.allCases)
    func cancelled(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let number = bench.cache.cached("number", ttl: .seconds(60), groups: ["g"]) { (number: Int) in number }
            let offers = { try await bench.cache.value(forKey: "offers", ttl: .seconds(60)) { 1 } }
            let ways: [@Sendable () async throws -> Void] = [
                { try await number.invalidate(7) }, { try await bench.cache.invalidate(group: "g") },
                { try await bench.cache.invalidate(key: "offers") },
            ]
            for (index, way) in ways.enumerated() {
                for _ in 1...20 {
                    _ = try await (number(7), offers())
                    await bench.settle()
                    let before = bench.statistics.snapshot.invalidations
                    let gate = Gate()
                    let task = Task {
                        try? await gate.pass()
                        try await way()
                    }
                    task.cancel()
                    // Its caller may leave early, and has the result if that was there first.
                    _ = await task.result
                    await bench.settle()
                    #expect(bench.statistics.snapshot.invalidations == before + 1)
                    if index < 2 { #expect(try await number.peek(7) == nil) }
                }
            }
            #expect(try await bench.store.get(StoreKey("shop:7:offers")) == nil)
        }
    }

    @Test("and leaves a caller that is cancelled meanwhile alone at once")
    func leaves() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let gate = Gate()
        _ = try await bench.city()("paris")
        await bench.settle()
        scripted.next(.delete, .pauseBefore(gate))
        let task = Task { try await bench.city().invalidate("paris") }
        try await gate.arrival()
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        gate.open()
        await bench.settle()
        #expect(try await bench.city().peek("paris") == nil)
    }

    @Test("nor, by events, on others that fail: those are repeated beside it")
    func besideOthers() async throws {
        let (dead, live) = (ScriptedStore(InMemoryStore()), InMemoryStore())
        let (one, other) = (Bench(dead), Bench(live))
        let (lost, kept) = (one.city(), other.city())
        _ = try await (lost("paris"), kept("1"), kept("2"), kept("3"))
        await one.settle()
        await other.settle()
        dead.setDown(true)
        let (changes, feed) = AsyncStream<[Invalidation]>.makeStream()
        let wiring = Task { try await other.cache.invalidate(on: changes) { $0 } }
        feed.yield([try .call(lost, "paris")])
        for row in 1...3 { feed.yield([try .call(kept, "\(row)")]) }
        for row in 1...3 { try await eventually { try await kept.peek("\(row)") == nil } }
        // Meanwhile this process takes what it names for invalid.
        try await eventually { one.statistics.snapshot.failedInvalidations > 0 }
        #expect(try await lost("paris").name == "paris")
        #expect(await one.database.queries == 2)
        feed.finish()
        dead.setDown(false)
        #expect(try await lost.peek("paris") == nil)
        try await eventually {
            one.clock.advance(by: .milliseconds(50))
            return one.statistics.snapshot.invalidations == 1
        }
        try await wiring.value
        #expect(
            try await one.otherProcess().cached("City.get", ttl: .seconds(60), groups: ["cities"]) { (slug: String) in
                City(name: slug, population: 0)
            }.peek("paris") == nil)
    }

    @Test("and while one is repeated, what it names is loaded by one call at a time in its process")
    func pending() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let (gate, loads) = (Gate(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(60)) {
            loads.increment()
            try await gate.pass()
            return loads.value
        }
        scripted.next(.delete, .failBefore)
        let (changes, feed) = AsyncStream<Int>.makeStream()
        let wiring = Task { try await bench.cache.invalidate(on: changes) { _ in [try .call(value)] } }
        feed.yield(1)
        try await eventually { bench.statistics.snapshot.failedInvalidations == 1 }
        let callers = (0..<20).map { _ in Task { try await value() } }
        try await eventually { scripted.count(.get) == 20 }
        for _ in 0..<2000 { await Task.yield() }
        #expect(loads.value == 1)
        gate.open()
        for caller in callers { #expect(try await caller.value <= 2) }
        #expect(bench.statistics.snapshot.reasons == [.invalidationPending: 20])
        #expect(bench.statistics.snapshot.droppedFills == 0)
        wiring.cancel()
    }

    @Test("nor on the task that hears of the events: what has been heard of is sent")
    func wiringCancelled() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        _ = try await bench.city()("paris")
        await bench.settle()
        scripted.setDown(true)
        let (changes, feed) = AsyncStream<String>.makeStream()
        let wiring = Task {
            try await bench.cache.invalidate(on: changes) { [try .call(bench.city(), $0), .group("g")] }
        }
        feed.yield("paris")
        try await eventually { bench.statistics.snapshot.failedInvalidations >= 2 }
        wiring.cancel()
        _ = await wiring.result
        scripted.setDown(false)
        try await eventually {
            bench.clock.advance(by: .milliseconds(50))
            return bench.statistics.snapshot.invalidations == 2
        }
        #expect(try await bench.city(in: bench.otherProcess()).peek("paris") == nil)
    }

    @Test("and an event that comes while its like is being sent is sent after that, and once for many")
    func coalesced() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let gate = Gate()
        let (changes, feed) = AsyncStream<Int>.makeStream()
        scripted.next(.delete, .pauseBefore(gate))
        let wiring = Task { try await bench.cache.invalidate(on: changes) { _ in [.key("offers")] } }
        feed.yield(0)
        try await gate.arrival()
        for number in 1...1000 { feed.yield(number) }
        feed.finish()
        for _ in 0..<2000 { await Task.yield() }
        gate.open()
        try await wiring.value
        #expect((2...3).contains(scripted.count(.delete)))
    }

    @Test("nor on the store's end: what cannot be sent any more is an error")
    func shutDown() async throws {
        try await withMemcached { store, _ async throws in
            let bench = Bench(store)
            let (changes, feed) = AsyncStream<Int>.makeStream()
            await store.shutdown()
            feed.yield(1)
            feed.finish()
            let error = await #expect(throws: CacheError.self) {
                try await bench.cache.invalidate(on: changes) { _ in [.key("offers")] }
            }
            #expect(error?.code == .shutDown)
        }
    }

    @Test("nor on room in the server: one that is full and does not evict takes no new stamp")
    func fullServer() async throws {
        try await withMemcached(options: ["-M", "-m", "2"]) { store, _ async throws in
            let bench = Bench(store)
            let (text, small) = (String(repeating: "x", count: 90_000), String(repeating: "y", count: 16))
            let value = bench.cache.cached("value", ttl: .seconds(600), groups: ["g"]) { (number: Int) in "\(number)" }
            for number in 0..<5 { _ = try await value(number) }
            await bench.settle()
            // Until it takes nothing of any size.
            for size in [text, small] {
                for number in 0..<100_000 {
                    do {
                        try await store.set(
                            StoreKey("fill:\(size.utf8.count):\(number)"), value: Array(size.utf8), expiry: nil)
                    } catch {
                        break
                    }
                }
            }
            await #expect(throws: CacheError.self) {
                try await store.set(StoreKey("more"), value: Array(small.utf8), expiry: nil)
            }
            for _ in 1...3 {
                try await bench.cache.invalidate(group: "g")
                for number in 0..<5 { #expect(try await value.peek(number) == nil) }
            }
            try await value.invalidate(1)
            // Reads go on, without being cached.
            for _ in 1...2 { #expect(try await value(1) == "1") }
            // And leave no lease behind, where there was room for one and none for the value.
            await bench.settle()
            let elsewhere = bench.otherProcess()
                .cached("value", ttl: .seconds(60), groups: ["g"]) { (number: Int) in "\(number)" }
            #expect(try await elsewhere(1) == "1")
            #expect(bench.clock.pauses == 0)
        }
    }
}
