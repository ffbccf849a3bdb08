import CacheUtils
import Memcached
import MemcachedProcess
import TestSupport
import Testing

/// Losing items or the store itself costs loads and nothing else: I5 and I6.
@Suite("Store trouble", .timeLimit(.minutes(5)))
struct StoreTroubleTests {
    @Test(
        "never fails a read, at whichever step it strikes", arguments: ScriptedStore.Operation.allCases,
        [ScriptedStore.Step.failBefore, .failAfter])
    func anyStep(operation: ScriptedStore.Operation, step: ScriptedStore.Step) async throws {
        for later in 0..<3 {
            let scripted = ScriptedStore(InMemoryStore())
            // A lease that may have been taken is given back soon, and whoever comes before that waits for it.
            let bench = Bench(scripted, clock: ManualClock(advancesInSleep: true))
            let value = bench.cache.cached("value", ttl: .seconds(60), groups: ["a"]) { (number: Int) in number }
            _ = try await value(later)
            for _ in 0..<later { scripted.next(operation, .pauseBefore(.opened)) }
            scripted.next(operation, step)
            for number in [0, 1, 0, 1] { #expect(try await value(number) == number) }
            #expect(try await value.refresh(1) == 1)
            _ = try await value.peek(1)
        }
    }

    @Test("is the caller's error on an invalidation", arguments: [ScriptedStore.Step.failBefore, .failAfter])
    func invalidation(step: ScriptedStore.Step) async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        scripted.next(.delete, step)
        await #expect(throws: ScriptedStore.Failure.self) { try await bench.city().invalidate("paris") }
        scripted.next(.delete, step)
        await #expect(throws: ScriptedStore.Failure.self) { try await bench.cache.invalidate(key: "paris") }
        scripted.next(.set, step)
        await #expect(throws: ScriptedStore.Failure.self) { try await bench.cache.invalidate(group: "cities") }
    }

    @Test("of every kind lets loads go through, and is counted")
    func down() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        scripted.setDown(true)
        for _ in 1...3 { #expect(try await bench.city()("paris").name == "paris") }
        #expect(try await bench.city().peek("paris") == nil)
        #expect(bench.statistics.snapshot.loads == 3)
        #expect(bench.statistics.snapshot.storeTroubles == 4)
        scripted.setDown(false)
        for _ in 1...3 { #expect(try await bench.city()("paris").name == "paris") }
        #expect(bench.statistics.snapshot.loads == 4)
    }

    @Test(
        "brings no herd: one load at a time for each key, and whoever comes late shares the next, not the running one")
    func outage() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        scripted.setDown(true)
        let (gate, loads) = (Gate(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(60)) {
            try await loads.next(firstWaitsAt: gate)
        }
        let early = Task { try await value() }
        try await gate.arrival()
        // These begin after the first load did, and an invalidation may have come between.
        let late = (0..<100).map { _ in Task { try await value() } }
        try await eventually { scripted.count(.get) == 101 }
        let impatient = Task { try await value() }
        impatient.cancel()
        await #expect(throws: CancellationError.self) { try await impatient.value }
        gate.open()
        #expect(try await early.value == 1)
        for task in late { #expect(try await task.value >= 2) }
        #expect(loads.value <= 3)
        #expect(try await value() == loads.value)
    }

    @Test("while a lease is being taken brings no herd either")
    func lostLease() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let (gate, loads) = (Gate(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(60)) { loads.increment() }
        scripted.next(.add, .pauseBefore(gate))
        scripted.next(.add, .failBefore)
        let first = Task { try await value() }
        try await gate.arrival()
        let others = (0..<100).map { _ in Task { try await value() } }
        try await eventually { scripted.count(.get) == 101 }
        try await bench.store.set(value.key(), value: [1], expiry: nil)
        _ = try await bench.store.delete(value.key())
        gate.open()
        _ = try await first.value
        for task in others { _ = try await task.value }
        // One for whoever came first, and one for all who came while that ran.
        #expect(loads.value <= 2)
    }

    @Test("does not let a stuck loader hold up the others longer than a lease")
    func stuckLoader() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        scripted.setDown(true)
        let (never, loads) = (Gate(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(60), leaseFor: .seconds(10)) {
            try await loads.next(firstWaitsAt: never)
        }
        let stuck = Task { try await value() }
        try await never.arrival()
        let others = (0..<10).map { _ in Task { try await value() } }
        try await eventually { scripted.count(.get) == 11 }
        try await eventually {
            bench.clock.advance(by: .seconds(10))
            return loads.value == 2
        }
        for task in others { #expect(try await task.value == 2) }
        never.open()
        #expect(try await stuck.value == 1)
    }

    @Test("and a loader that fails without a lease are both counted")
    func failingLoader() async throws {
        struct LoaderFailure: Error {}
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        scripted.setDown(true)
        let value = bench.cache.cached("value", ttl: .seconds(60)) { () async throws -> Int in throw LoaderFailure() }
        await #expect(throws: LoaderFailure.self) { try await value() }
        #expect(bench.statistics.snapshot.failedLoads == 1)
        #expect(bench.statistics.snapshot.loads == 1)
    }

    @Test("does not stop anything when no server listens: loads go through, invalidations throw")
    func noServer() async throws {
        let port = try MemcachedProcess.freePort()
        for address in ["127.0.0.1:\(port)", "/tmp/cache-utils-nobody.sock"] {
            let store = try MemcachedStore(servers: [address])
            let bench = Bench(store)
            for _ in 1...3 { #expect(try await bench.city()("paris").name == "paris") }
            let errors = [
                await #expect(throws: CacheError.self) { try await bench.city().invalidate("paris") },
                await #expect(throws: CacheError.self) { try await bench.cache.invalidate(group: "cities") },
                await #expect(throws: CacheError.self) { try await bench.cache.invalidate(key: "offers") },
            ]
            for error in errors {
                #expect(error?.code == .unavailable)
                #expect(error?.message.contains(address) == true)
            }
            await store.shutdown()
        }
    }

    @Test("by restart, kill and flush loses values and brings none back")
    func restart() async throws {
        try await withMemcached { store, server async throws in
            let bench = Bench(store, clock: ManualClock(advancesInSleep: true))
            let city = bench.city()
            _ = try await city("paris")
            await bench.database.update("paris", population: 2)
            try await bench.cache.invalidate(group: "cities")
            server.stop()
            #expect(try await city("paris").population == 2)
            await #expect(throws: CacheError.self) { try await city.invalidate("paris") }
            try server.start()
            // The library tries a server again a second after it could not be reached.
            try await eventually {
                do { return try await store.get(StoreKey("x")) == nil } catch { return false }
            }
            for _ in 1...2 {
                #expect(try await city("paris").population == 2)
                await bench.settle()
            }
            #expect(try await city.peek("paris")?.population == 2)
            await bench.database.update("paris", population: 3)
            try await store.flush()
            #expect(try await city("paris").population == 3)
        }
    }

    @Test("by restart does not keep the store from being emptied on the connection that broke")
    func flushAfterRestart() async throws {
        try await withMemcached { store, server async throws in
            try await store.flush()
            server.stop()
            try server.start()
            try await store.flush()
        }
    }

    @Test("by a server that hangs fails what waits within the timeout, and reads go on")
    func hangingServer() async throws {
        let configuration = MemcachedStore.Configuration(
            operationTimeout: .milliseconds(100), connectTimeout: .milliseconds(100))
        try await withMemcached(configuration: configuration) { store, server in
            let bench = Bench(store, clock: ManualClock(advancesInSleep: true))
            let city = bench.city()
            _ = try await city("paris")
            server.suspend()
            try await withThrowingTaskGroup(of: (Int, String).self) { group in
                for number in 0..<500 { group.addTask { (number, try await city("\(number)").name) } }
                for try await (number, name) in group { #expect(name == "\(number)") }
            }
            let error = await #expect(throws: CacheError.self) { try await city.invalidate("paris") }
            #expect(error.map { [.timeout, .unavailable].contains($0.code) } == true)
            server.resume()
            // Replies to what timed out must not be taken for replies to what is asked now.
            for number in 0..<300 { #expect(try await city("\(number)").name == "\(number)") }
        }
    }

    @Test("by damaged, foreign and swapped items is a miss, and they are replaced", arguments: StoreKind.allCases)
    func garbage(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let city = bench.city()
            _ = try await (city("paris"), city("rome"))
            let paris = try #require(try await store.get(city.key("paris"))).bytes
            let rome = try #require(try await store.get(city.key("rome"))).bytes
            var damaged = paris
            damaged[damaged.count - 3] ^= 1
            let foreign: [[UInt8]] = [[], [0], Array("{\"name\":\"x\"}".utf8), damaged, Array(paris.dropLast()), rome]
            for bytes in foreign {
                let queries = await bench.database.queries
                try await store.set(city.key("paris"), value: bytes, expiry: nil)
                #expect(try await city.peek("paris") == nil)
                #expect(try await city("paris").name == "paris")
                #expect(try await city("paris").name == "paris")
                #expect(await bench.database.queries == queries + 1)
            }
        }
    }

    @Test("by a value of another type under the key is a miss, and it is replaced", arguments: StoreKind.allCases)
    func otherType(kind: StoreKind) async throws {
        struct Town: Codable, Sendable, Equatable {
            var name: String
            var population: Int
        }
        try await kind.withStore { store async throws in
            let cache = Bench(store).cache
            func value<Value: Codable & Sendable & Equatable>(_ value: Value) async throws {
                for _ in 1...2 {
                    let got = try await cache.value(forKey: "key", ttl: .seconds(60)) { value }
                    #expect(got == value)
                }
            }
            try await value("1")
            try await value(1)
            try await value(UInt(1))
            try await value(1.0)
            try await value(true)
            try await value([UInt8]([1]))
            try await value([1])
            try await value(Optional(1))
            try await value(City(name: "x", population: 1))
            try await value(Town(name: "y", population: 2))
            try await value("1")
        }
    }

    @Test("by a value over the item limit: the caller gets it, it is not cached, it is reported")
    func tooLarge() async throws {
        try await withMemcached { store, _ async throws in
            let bench = Bench(store)
            for size in [1024 * 1024, 3 * 1024 * 1024] {
                let large = bench.cache.cached("large", ttl: .seconds(60)) { (size: Int) in
                    [UInt8](repeating: 1, count: size)
                }
                let before = bench.statistics.snapshot
                for _ in 1...2 {
                    #expect(try await large(size).count == size)
                    await bench.settle()
                    #expect(try await large.peek(size) == nil)
                }
                #expect(bench.statistics.snapshot.notCached == before.notCached + 2)
                #expect(bench.clock.pauses == 0)
            }
            // The connection is still in step.
            #expect(try await bench.city()("paris").name == "paris")
            #expect(try await bench.city().peek("paris")?.name == "paris")
        }
    }
}
