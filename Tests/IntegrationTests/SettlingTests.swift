import CacheUtils
import Memcached
import MemcachedProcess
import TestSupport
import Testing

/// Invalidations with a window, before a database whose replica lags.
@Suite("What is loaded in a window", .timeLimit(.minutes(5)))
struct SettlingTests {
    /// What the replica says, until it is told to catch up.
    private actor Replica {
        private var primary = 1
        private var replica = 1
        private(set) var loads = 0
        private(set) var settling: [Bool] = []

        func update() { primary += 1 }
        func catchUp() { replica = primary }

        func read() -> Int {
            loads += 1
            settling.append(CacheLoad.isSettling)
            return replica
        }
    }

    enum Target: CaseIterable { case key, group, list, refreshed }

    private struct Setting {
        let bench: Bench
        let replica = Replica()
        let value: CachedFunction<Int, Int>
        let elsewhere: CachedFunction<Int, Int>

        init(_ store: any CacheStore, ttl: Duration = .seconds(600)) {
            bench = Bench(store)
            let functions = [bench.cache, bench.otherProcess()].map { [replica] cache in
                cache.cached("value", ttl: ttl, groups: ["values"]) { (_: Int) in await replica.read() }
            }
            (value, elsewhere) = (functions[0], functions[1])
        }

        func invalidate(_ target: Target, settlingFor window: Duration) async throws {
            switch target {
            case .key, .refreshed: try await value.invalidate(1, settlingFor: window)
            case .group: try await bench.cache.invalidate(group: "values", settlingFor: window)
            case .list: try await value.invalidate(many: [1, 2], settlingFor: window)
            }
        }
    }

    @Test(
        "is used, and fresh no longer than the window, nor served stale after it",
        arguments: StoreKind.allCases + [.twoServers], Target.allCases)
    func window(kind: StoreKind, target: Target) async throws {
        try await kind.withStore { store async throws in
            let setting = Setting(store)
            let (value, replica) = (setting.value, setting.replica)
            #expect(try await value(1) == 1)
            await setting.bench.settle()
            await replica.update()
            // Long enough for a server that counts the real time meanwhile.
            let window = Duration.seconds(300)
            try await setting.invalidate(target, settlingFor: window)
            // The replica lags: what it says is used, once for all.
            for call in 1...3 {
                let answer = target == .refreshed && call == 2 ? try await value.refresh(1) : try await value(1)
                #expect(answer == 1)
                await setting.bench.settle()
                #expect(try await setting.elsewhere(1) == 1)
            }
            let loads = await replica.loads
            #expect(loads == (target == .refreshed ? 3 : 2))
            await replica.catchUp()
            setting.bench.clock.advance(by: window - .milliseconds(1))
            #expect(try await setting.elsewhere(1) == 1)
            setting.bench.clock.advance(by: .milliseconds(1))
            #expect(try await value.peek(1) == nil)
            #expect(try await setting.elsewhere(1) == 2)
            // And that stays.
            setting.bench.clock.advance(by: .seconds(500))
            #expect(try await value(1) == 2)
            #expect(await replica.loads == loads + 1)
            #expect(await replica.settling == [false] + Array(repeating: true, count: loads - 1) + [false])
        }
    }

    @Test("is settling however often it is loaded: after a failure, after nothing, after a short lifetime")
    func remembered() async throws {
        struct Down: Error {}
        let clock = ManualClock()
        let store = InMemoryStore(clock: clock)
        let (replica, script) = (Replica(), Counter())
        let cache = Cache(store: store, namespace: "shop", clock: clock)
        let value = cache.cached("value", ttl: .seconds(1), staleFor: .seconds(60)) { (_: Int) -> Int? in
            let number = await replica.read()
            switch script.increment() {
            case 2: throw Down()
            case 3: return nil
            default: return number
            }
        }
        #expect(try await value(1) == 1)
        await cache.drain()
        await replica.update()
        try await value.invalidate(1, settlingFor: .seconds(5))
        await #expect(throws: Down.self) { try await value(1) }
        await cache.drain()
        #expect(try await value(1) == nil)
        await cache.drain()
        for _ in 1...3 {
            #expect(try await value(1) == 1)
            await cache.drain()
            clock.advance(by: .seconds(1))
        }
        #expect(await replica.settling == [false] + Array(repeating: true, count: 5))
        await replica.catchUp()
        clock.advance(by: .seconds(2))
        #expect(try await value(1) == 2)
        #expect(await replica.settling.last == false)
    }

    @Test("knows of the window of an invalidation that has failed here")
    func withoutLease() async throws {
        let store = ScriptedStore(InMemoryStore())
        let replica = Replica()
        let cache = Cache(store: store, namespace: "shop", clock: ManualClock())
        let value = cache.cached("value", ttl: .seconds(60)) { (_: Int) in await replica.read() }
        store.next(.set, .failBefore)
        let events = AsyncStream { $0.yield(1) }
        let repeating = Task {
            try await cache.invalidate(on: events, settlingFor: .seconds(5)) { [try .call(value, $0)] }
        }
        defer { repeating.cancel() }
        while await !replica.settling.contains(true) { _ = try await value(1) }
    }

    @Test("began before it ended: a load that goes on after the window stores nothing")
    func slowLoad() async throws {
        let (clock, statistics) = (ManualClock(), CacheStatistics())
        let cache = Cache(
            store: InMemoryStore(clock: clock), namespace: "shop", clock: clock, observer: statistics)
        let (started, gate) = (Gate(), Gate())
        let loads = Counter()
        let value = cache.cached("value", ttl: .seconds(600)) { (_: Int) in
            guard loads.increment() == 1 else { return loads.value }
            started.open()
            try await gate.pass()
            return 1
        }
        try await value.invalidate(1, settlingFor: .seconds(2))
        async let slow = value(1)
        try await started.pass()
        clock.advance(by: .seconds(3))
        gate.open()
        #expect(try await slow == 1)
        await cache.drain()
        #expect(statistics.snapshot.fills == 0 && statistics.snapshot.droppedFills == 1)
        #expect(try await value.peek(1) == nil)
        #expect(try await value(1) == 2)
    }

    @Test("of a full server, which takes no mark: what was cached is removed all the same")
    func fullServer() async throws {
        try await withMemcached(options: ["-M", "-m", "2"]) { store, _ async throws in
            let bench = Bench(store)
            let city = bench.city(groups: [])
            _ = try await city("paris")
            await bench.settle()
            var number = 0
            while try await store.writeUnique(
                StoreKey("fill:\(number)"), value: [UInt8](repeating: 1, count: 4000), over: nil, expiry: nil
            ).isStored { number += 1 }
            try await city.invalidate("paris", settlingFor: .seconds(2))
            #expect(try await city.peek("paris") == nil)
            try await bench.cache.invalidate(group: "cities", settlingFor: .seconds(2))
        }
    }

    @Test("has no negative length")
    func negative() async throws {
        let bench = Bench(InMemoryStore())
        let error = await #expect(throws: CacheError.self) {
            try await bench.city().invalidate("paris", settlingFor: .seconds(-1))
        }
        #expect(error?.code == .invalidDuration)
    }
}
