import CacheUtils
import Synchronization
import TestSupport
import Testing

/// A loader says how its value is cached.
@Suite("A loaded value that says how it is cached", .timeLimit(.minutes(5)))
struct ResultDecidesTests {
    private let clock = ManualClock()
    private let statistics = CacheStatistics()
    private let store: ScriptedStore
    private let cache: Cache
    private let loads = Counter()

    init() {
        store = ScriptedStore(InMemoryStore(clock: clock), tellsIDs: true)
        cache = Cache(store: store, namespace: "s", clock: clock, observer: statistics)
    }

    private func otherProcess() -> Cache { Cache(store: store, namespace: "s", clock: clock) }

    /// A function whose every load says the same; its value is the number of the load.
    private func function(
        in other: Cache? = nil, ttl: Duration? = nil, staleFor: Duration? = nil, groups: [String] = [],
        store: Cached<Int>.Storing = .yes
    ) -> CachedFunction<Int, Int> {
        (other ?? cache).cached("f", ttl: .seconds(60), staleFor: .seconds(10), groups: ["all"]) {
            [loads] (_: Int) in
            Cached(loads.increment(), ttl: ttl, staleFor: staleFor, groups: groups, store: store)
        }
    }

    /// A function whose values have a group of their own, and one of whose loads stops at a gate.
    private func function(whoseLoad stopped: Int, stopsAt gate: Gate) -> CachedFunction<Int> {
        cache.cached("f", ttl: .seconds(60)) { [loads] () in
            let number = loads.increment()
            if number == stopped { try await gate.pass() }
            return Cached(number, groups: ["a"])
        }
    }

    private func call(_ function: CachedFunction<Int, Int>, _ cache: Cache? = nil) async throws -> Int {
        let value = try await function(1)
        await (cache ?? self.cache).drain()
        return value
    }

    @Test("is fresh for as long as it says, and stale for as long, wherever it is read")
    func lifetimes() async throws {
        let value = function(ttl: .seconds(5), staleFor: .seconds(100))
        let (other, elsewhere) = (otherProcess(), function(in: otherProcess()))
        #expect(try await call(value) == 1)
        clock.advance(by: .seconds(4))
        #expect(try await call(elsewhere, other) == 1)
        // Longer than `staleFor` of the function.
        clock.advance(by: .seconds(90))
        #expect(try await elsewhere.peek(1) == 1)
        #expect(try await value(1) == 1)
        await cache.drain()
        #expect(try await call(elsewhere, other) == 2)
        clock.advance(by: .seconds(106))
        #expect(try await elsewhere.peek(1) == nil)
    }

    @Test("may be stale for no time although its function's values may")
    func neverStale() async throws {
        let value = function(staleFor: .zero)
        #expect(try await call(value) == 1)
        clock.advance(by: .seconds(61))
        #expect(try await value.peek(1) == nil)
        #expect(try await call(value) == 2)
    }

    @Test("is not cached when it says so, or when it is not fresh at all", arguments: [true, false])
    func notStored(byTTL: Bool) async throws {
        let value = byTTL ? function(ttl: .seconds(-3)) : function(store: .no)
        #expect(try await call(value) == 1)
        #expect(try await value.peek(1) == nil)
        #expect(try await call(value) == 2)
        // Nobody waits for a lease that it left.
        #expect(try await call(function(in: otherProcess())) == 3)
    }

    @Test("that says nothing is cached as the options of its function say")
    func silent() async throws {
        let value = function()
        #expect(try await call(value) == 1)
        clock.advance(by: .seconds(59))
        #expect(try await call(value) == 1)
        clock.advance(by: .seconds(12))
        #expect(try await call(value) == 2)
    }

    @Test("is invalid with its own groups, in every process, and costs one exchange more")
    func groups() async throws {
        let value = function(groups: ["a", "b", "all"])
        let elsewhere = function(in: otherProcess(), groups: ["a", "b"])
        // The loader runs twice: the stamps of its groups are read in between.
        #expect(try await call(value) == 2)
        store.resetCounts()
        #expect(try await value(1) == 2)
        #expect(store.roundTrips == 2)
        #expect(try await elsewhere(1) == 2)
        try await cache.invalidate(group: "b")
        #expect(try await elsewhere.peek(1) == nil)
        // What stood there had listed them: one load is enough.
        #expect(try await call(elsewhere) == 3)
        #expect(try await value(1) == 3)
        try await otherProcess().invalidate(group: "all")
        #expect(try await value.peek(1) == nil)
    }

    @Test("can be expired by its own groups: it is served while it is refreshed")
    func expired() async throws {
        let value = function(groups: ["a"])
        #expect(try await call(value) == 2)
        try await cache.expire(group: "a")
        #expect(try await value(1) == 2)
        await cache.drain()
        #expect(try await value(1) == 3)
    }

    @Test("is not stored under a stamp that was read when its load had begun")
    func invalidatedMeanwhile() async throws {
        let gate = Gate()
        let value = function(whoseLoad: 2, stopsAt: gate)
        let first = Task { try await value() }
        try await gate.arrival()
        try await cache.invalidate(group: "a")
        gate.open()
        #expect(try await first.value == 2)
        await cache.drain()
        #expect(try await value.peek() == nil)
        #expect(try await value() == 3)
    }

    @Test("is for its own call only while it is being stored: others may have come after an invalidation of its group")
    func shared() async throws {
        let gate = Gate()
        let value = function(whoseLoad: 2, stopsAt: gate)
        let first = Task { try await value() }
        try await gate.arrival()
        try await cache.invalidate(group: "a")
        // It reads the lease, and waits for a load that began before the invalidation.
        let second = Task { try await value() }
        try await eventually { store.count(.get) >= 4 }
        gate.open()
        #expect(try await first.value == 2)
        #expect(try await second.value == 3)
    }

    @Test("is for its own call only when it has been loaded and is being stored, too")
    func landed() async throws {
        let (gate, loads) = (Gate(), loads)
        let value = cache.cached("f", ttl: .seconds(60)) { () in
            // The one that is going to be stored.
            if loads.value == 1 { store.next(.compareAndSwap, .pauseBefore(gate)) }
            return Cached(loads.increment(), groups: ["a"])
        }
        #expect(try await value() == 2)
        try await gate.arrival()
        try await cache.invalidate(group: "a")
        let call = Task { try await value() }
        try await eventually { store.count(.get) >= 4 }
        gate.open()
        #expect(try await call.value == 3)
    }

    @Test("that was invalidated by its own group stays so when that is expired")
    func invalidatedThenExpired() async throws {
        let value = function(groups: ["a"])
        #expect(try await call(value) == 2)
        try await cache.invalidate(group: "a")
        try await cache.expire(group: "a")
        #expect(try await value.peek(1) == nil)
        #expect(try await value(1) == 3)
    }

    @Test("is not kept longer than the window of an invalidation of its own group")
    func window() async throws {
        let value = function(groups: ["a"])
        try await cache.invalidate(group: "a", settlingFor: .seconds(10))
        // The group is told by the load: nobody knew of the window when it began.
        #expect(try await call(value) == 1)
        #expect(try await value.peek(1) == nil)
        clock.advance(by: .seconds(11))
        #expect(try await call(value) == 3)
        // From then on it is known.
        try await cache.invalidate(group: "a", settlingFor: .seconds(10))
        #expect(try await call(value) == 4)
        #expect(try await value.answer(1).freshFor == .seconds(10))
        clock.advance(by: .seconds(10))
        #expect(try await value.peek(1) == nil)
    }

    @Test("is refreshed early, and served to those who wait no longer, by its groups too")
    func policies() async throws {
        let (gate, loads) = (Gate(), loads)
        let policy = CachePolicy(
            ttl: .seconds(60), earlyRefresh: .byChance(beta: .infinity), refresh: .foreground,
            loadTimeout: .init(soft: .seconds(1)))
        let value = cache.cached("f", policy: policy) { [clock] () in
            let number = loads.increment()
            clock.advance(by: .milliseconds(1))
            if number == 3 { try await gate.pass() }
            return Cached(number, groups: ["a"])
        }
        #expect(try await value() == 2)
        await cache.drain()
        #expect(try await value() == 2)
        try await gate.arrival()
        // Stale, and being loaded: a refresh in the foreground would be waited for.
        gate.open()
        await cache.drain()
        #expect(try await value.with { $0.earlyRefresh = .none }() == 3)
        clock.advance(by: .seconds(61))
        store.next(.compareAndSwap, .pauseBefore(Gate()))
        let call = Task { try await value() }
        try await eventually {
            clock.advance(by: .milliseconds(100))
            return statistics.snapshot.timedOutCalls == 1
        }
        #expect(try await call.value == 3)
    }

    @Test("with other groups in each load is returned and not stored")
    func restless() async throws {
        let loads = loads
        let value = cache.cached("f", ttl: .seconds(60)) { () in
            let number = loads.increment()
            return Cached(number, groups: ["group\(number)"])
        }
        #expect(try await value() == 2)
        await cache.drain()
        #expect(try await value.peek() == nil)
        #expect(statistics.snapshot.droppedFills == 1)
    }

    @Test("is returned and not stored when the stamps of its groups cannot be read")
    func trouble() async throws {
        let gate = Gate()
        let value = function(whoseLoad: 1, stopsAt: gate)
        let first = Task { try await value() }
        try await gate.arrival()
        store.next(.get, .failBefore)
        gate.open()
        #expect(try await first.value == 1)
        await cache.drain()
        #expect(try await value.peek() == nil)
        // And when they cannot be read for a hit, the call loads.
        #expect(try await value() == 3)
        await cache.drain()
        store.next(.get, .pauseBefore(.opened))
        store.next(.get, .failBefore)
        #expect(try await value() == 4)
        #expect(try await value() == 3)
    }

    @Test("is invalid here when the invalidation of its own group failed")
    func failedInvalidation() async throws {
        let value = function(groups: ["a"])
        #expect(try await call(value) == 2)
        store.next(.set, .failBefore)
        await #expect(throws: (any Error).self) { try await cache.invalidate(group: "a") }
        #expect(try await value(1) == 3)
        #expect(try await function(in: otherProcess(), groups: ["a"]).peek(1) == 2)
    }

    @Test("in a batch says so for itself")
    func batch() async throws {
        let (loads, batches) = (loads, Counter())
        let value = cache.cached("f", ttl: .seconds(60)) { (number: Int) in
            Cached(loads.increment())
        } loadMany: { numbers in
            batches.increment()
            return numbers.map { number in
                switch number {
                case 0: Cached(number, ttl: .seconds(5), staleFor: .zero)
                case 1: Cached(number, store: .no)
                case 2: Cached(number, groups: ["g\(number)"])
                default: number == 3 ? nil : Cached(number)
                }
            }
        }
        let results = try await value.manyResults([0, 1, 2, 3, 4])
        #expect(results.map { try? $0.get() } == [0, 1, 2, nil, 4])
        await cache.drain()
        // The one with groups of its own was loaded once more.
        #expect(batches.value == 2)
        #expect(try await [0, 1, 2, 3, 4].asyncMap { try await value.peek($0) } == [0, nil, 2, nil, 4])
        clock.advance(by: .seconds(6))
        #expect(try await value.peek(0) == nil)
        try await cache.invalidate(group: "g2")
        #expect(try await value.peek(2) == nil)
        #expect(try await value.peek(4) == 4)
        #expect(try await value.many([2, 4]) == [2, 4])
    }

    @Test("and is not cached is shared by all that came before its load began, whatever groups it names")
    func sharedThoughNotStored() async throws {
        let (gate, value) = (Gate(), function(groups: ["a"], store: .no))
        // So that there are stamps.
        #expect(try await value(0) == 1)
        await cache.drain()
        store.resetCounts()
        store.next(.add, .pauseBefore(gate))
        let first = Task { try await value(1) }
        try await gate.arrival()
        let others = (0..<20).map { _ in Task { try await value(1) } }
        try await eventually { store.count(.get) >= 21 }
        gate.open()
        #expect(try await first.value == 2)
        for other in others { #expect(try await other.value == 2) }
    }

    @Test("and is not cached is loaded once for a call, whatever groups it names", arguments: [true, false])
    func notStoredWithGroups(byTTL: Bool) async throws {
        let value = byTTL ? function(ttl: .zero, groups: ["a"]) : function(groups: ["a"], store: .no)
        #expect(try await call(value) == 1)
        #expect(try await call(value) == 2)
    }

    @Test("is stored also where loads wait for their turn")
    func contention() async throws {
        let cache = Cache(store: store, namespace: "s", policy: CachePolicy(maximumLoads: 1), clock: clock)
        let running = Counter()
        let value = cache.cached("f", ttl: .seconds(60)) { (number: Int) in
            #expect(running.increment() == 1)
            await Task.yield()
            running.decrement()
            return Cached(number, groups: ["a"])
        }
        try await withThrowingTaskGroup { group in
            for number in 0..<20 {
                group.addTask {
                    let answer = try await value(number)
                    #expect(answer == number)
                }
            }
            try await group.waitForAll()
        }
        await cache.drain()
        for number in 0..<20 { #expect(try await value.peek(number) == number) }
    }

    @Test("is what a call gets whose second run has failed, and is not stored")
    func secondRunFails() async throws {
        struct Down: Error {}
        let loads = loads
        let value = cache.cached("f", ttl: .seconds(60)) { () in
            if loads.increment() == 2 { throw Down() }
            return Cached(loads.value, groups: ["a"])
        }
        let answer = try await value.answer()
        #expect(answer.value == 1 && answer.freshFor == nil)
        await cache.drain()
        #expect(try await value.peek() == nil)
    }

    @Test("is not loaded again when its lease is lost: it could not be stored")
    func lostLease() async throws {
        let gate = Gate()
        let value = function(whoseLoad: 1, stopsAt: gate)
        let first = Task { try await value() }
        try await gate.arrival()
        try await value.invalidate()
        gate.open()
        #expect(try await first.value == 1)
        await cache.drain()
        #expect(loads.value == 1)
    }

    @Test("may have a group without a name in a batch: that is its own error")
    func namelessGroupInBatch() async throws {
        let value = cache.cached("f", ttl: .seconds(60)) { (number: Int) in
            Cached(number)
        } loadMany: { numbers in
            numbers.map { Cached($0, groups: [$0 == 1 ? "" : "g"]) }
        }
        let results = try await value.manyResults([0, 1, 2])
        #expect(results.map { try? $0.get() } == [0, nil, 2])
        await cache.drain()
        #expect(try await value.peek(2) == 2)
    }

    @Test("may have a group without a name: that is the call's error, and nothing is stored")
    func namelessGroup() async throws {
        let error = await #expect(throws: CacheError.self) { try await function(groups: [""])(1) }
        #expect(error?.code == .invalidKey)
    }

    @Test("can be had by key, too")
    func byKey() async throws {
        let loads = loads
        func offers() async throws -> Int {
            try await cache.value(forKey: "offers") { Cached(loads.increment(), ttl: .seconds(5), staleFor: .zero) }
        }
        #expect(try await offers() == 1)
        await cache.drain()
        #expect(try await offers() == 1)
        clock.advance(by: .seconds(6))
        #expect(try await offers() == 2)
    }
}

extension Array {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async throws -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
