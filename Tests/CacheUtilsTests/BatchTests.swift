import CacheUtils
import Synchronization
import TestSupport
import Testing

/// Cities that are loaded one by one and many at once, and what was asked for.
private final class Cities: Sendable {
    struct Down: Error {}

    private struct State {
        var ones: [Int] = []
        var batches: [[Int]] = []
        var population = 1
        var error: (any Error)?
        var missing: Set<Int> = []
        var gate: Gate?
        var settling: [Bool] = []
        var running = 0
        var mostRunning = 0
    }

    private let state = Mutex(State())

    /// What was loaded one by one.
    var ones: [Int] { state.withLock(\.ones) }
    var batches: [[Int]] { state.withLock(\.batches) }
    /// Of each load, whether it was told of a window.
    var settling: [Bool] { state.withLock(\.settling) }
    var mostRunning: Int { state.withLock(\.mostRunning) }

    /// All of them have changed.
    func grow() { state.withLock { $0.population += 1 } }
    func setError(_ error: (any Error)?) { state.withLock { $0.error = error } }
    func setMissing(_ missing: Set<Int>) { state.withLock { $0.missing = missing } }

    /// The next load reads what it reads and then stops.
    func stopNext() -> Gate {
        let gate = Gate()
        state.withLock { $0.gate = gate }
        return gate
    }

    func one(_ number: Int) async throws -> String {
        try await load { state in
            state.ones.append(number)
            return "\(number):\(state.population)"
        }
    }

    func many(_ numbers: [Int]) async throws -> [String?] {
        try await load { state in
            state.batches.append(numbers)
            return numbers.map { state.missing.contains($0) ? nil : "\($0):\(state.population)" }
        }
    }

    private func load<Loaded: Sendable>(_ body: (inout State) -> sending Loaded) async throws -> Loaded {
        let (loaded, gate, error) = state.withLock { state in
            state.running += 1
            state.settling.append(CacheLoad.isSettling)
            state.mostRunning = max(state.mostRunning, state.running)
            return (body(&state), state.gate.take(), state.error)
        }
        defer { state.withLock { $0.running -= 1 } }
        try await gate?.pass()
        await Task.yield()
        if let error { throw error }
        return loaded
    }
}

extension ManualClock {
    /// Moves the time on until a task has ended.
    fileprivate func advance<Value: Sendable>(until task: Task<Value, any Error>) async throws -> Value {
        let ended = Counter()
        Task {
            _ = await task.result
            ended.increment()
        }
        while ended.value == 0 {
            advance(by: .milliseconds(100))
            await Task.yield()
        }
        return try await task.value
    }
}

@Suite("Calls for many values", .timeLimit(.minutes(5)))
struct BatchTests {
    private let clock = ManualClock()
    private let store: ScriptedStore
    private let statistics = CacheStatistics()
    private let cache: Cache
    private let cities = Cities()

    init() {
        store = ScriptedStore(InMemoryStore(clock: clock), tellsIDs: true)
        cache = Cache(
            store: store, namespace: "many", clock: clock, observer: statistics, trapsBadOptions: false)
    }

    private func city(
        in other: Cache? = nil, _ cities: Cities? = nil, policy: CachePolicy = CachePolicy(), isBatched: Bool = true
    ) -> CachedFunction<Int, String> {
        let (cache, cities) = (other ?? self.cache, cities ?? self.cities)
        guard isBatched else {
            return cache.cached("city", ttl: .seconds(60), groups: ["cities"], policy: policy) { (number: Int) in
                try await cities.one(number)
            }
        }
        return cache.cached("city", ttl: .seconds(60), groups: ["cities"], policy: policy) { (number: Int) in
            try await cities.one(number)
        } loadMany: { numbers in
            try await cities.many(numbers)
        }
    }

    private func otherProcess() -> Cache { Cache(store: store, namespace: "many", clock: clock) }

    // MARK: What they return

    @Test("give values in the order of the request, and load together what is not cached, each once")
    func order() async throws {
        let city = city()
        #expect(try await city(2) == "2:1")
        await cache.drain()
        #expect(try await city.many([3, 2, 1, 3, 2]) == ["3:1", "2:1", "1:1", "3:1", "2:1"])
        #expect(cities.ones == [2] && cities.batches == [[3, 1]])
        await cache.drain()
        #expect(try await city.many([1, 2, 3]) == ["1:1", "2:1", "3:1"])
        #expect(try await city(3) == "3:1")
        #expect(try await city.many([]) == [])
        #expect(cities.ones == [2] && cities.batches.count == 1)
        // One for each element that was asked for; what is loaded counts once.
        #expect(statistics.snapshot.hits == 6 && statistics.snapshot.misses == 3 && statistics.snapshot.fills == 3)
    }

    @Test("of functions of several arguments take tuples")
    func tuples() async throws {
        let sum = cache.cached("sum", ttl: .seconds(60)) { (left: Int, right: String) in
            "\(left)\(right)"
        } loadMany: { pairs in
            pairs.map { "\($0.0)\($0.1) in a batch" }
        }
        #expect(try await sum.many([(1, "a"), (2, "b")]) == ["1a in a batch", "2b in a batch"])
        await cache.drain()
        #expect(try await sum(2, "b") == "2b in a batch")
    }

    @Test("load one by one, sixteen at a time, where there is no loader of many")
    func unbatched() async throws {
        let city = city(isBatched: false)
        #expect(try await city.many(Array(0..<100)) == (0..<100).map { "\($0):1" })
        #expect(cities.ones.sorted() == Array(0..<100) && cities.batches.isEmpty)
        #expect(cities.mostRunning > 1 && cities.mostRunning <= 16)
    }

    @Test("fail for the elements alone that the loader has none of")
    func missing() async throws {
        let city = city()
        cities.setMissing([2])
        let results = try await city.manyResults([1, 2, 3])
        #expect(try results[0].get() == "1:1" && results[2].get() == "3:1")
        let error = #expect(throws: CacheError.self) { try results[1].get() }
        #expect(statistics.snapshot.failedLoads == 1)
        #expect(error?.code == .incompleteBatch && error?.keys.map(\.description) == ["many:1:city(2)"])
        await cache.drain()
        // The others are cached, and this one is not.
        await #expect(throws: CacheError.self) { try await city.many([1, 2, 3]) }
        #expect(cities.batches == [[1, 2, 3], [2]])
    }

    @Test("keep a nil that the function may return apart from a value that there is none of")
    func optionals() async throws {
        let name = cache.cached("name", ttl: .seconds(60), nilFor: .seconds(5)) { (number: Int) -> String? in
            nil
        } loadMany: { numbers in
            numbers.map { number -> String?? in number == 3 ? nil : .some(number == 1 ? "one" : nil) }
        }
        let results = try await name.manyResults([1, 2, 3])
        #expect(try results[0].get() == "one" && results[1].get() == nil)
        #expect(throws: CacheError.self) { try results[2].get() }
    }

    @Test("fail when the loader of many returns too few or too many, and leave no lease behind", arguments: [0, 1, 3])
    func wrongCount(count: Int) async throws {
        let city = cache.cached("city", ttl: .seconds(60)) { (number: Int) in
            "one"
        } loadMany: { _ in
            Array(repeating: "many", count: count)
        }
        for result in try await city.manyResults([1, 2]) {
            let error = #expect(throws: CacheError.self) { try result.get() }
            #expect(error?.code == .incompleteBatch)
        }
        await cache.drain()
        #expect(try await city(1) == "one")
    }

    @Test("fail with the error of the load, for those that it was for")
    func failing() async throws {
        let city = city()
        #expect(try await city(1) == "1:1")
        await cache.drain()
        cities.setError(Cities.Down())
        let results = try await city.manyResults([1, 2, 3])
        #expect(try results[0].get() == "1:1")
        for result in results.dropFirst() { #expect(throws: Cities.Down.self) { try result.get() } }
        cities.setError(nil)
        await cache.drain()
        clock.advance(by: .seconds(1))
        #expect(try await city.many([1, 2, 3]) == ["1:1", "2:1", "3:1"])
    }

    @Test("are served what was cached before an error, where the policy keeps it")
    func staleIfError() async throws {
        let city = city(policy: CachePolicy(staleFor: .zero, staleIfError: .init(for: .seconds(600))))
        _ = try await city.many([1, 2])
        await cache.drain()
        clock.advance(by: .seconds(100))
        cities.setError(Cities.Down())
        #expect(try await city.many([1, 2]) == ["1:1", "2:1"])
    }

    // MARK: Others that load

    @Test("that overlap load each element once")
    func overlapping() async throws {
        let city = city()
        let gate = cities.stopNext()
        async let first = city.many([1, 2, 3])
        try await gate.arrival()
        async let second = city.many([2, 3, 4])
        try await eventually { cities.batches.count == 2 }
        gate.open()
        #expect(try await first == ["1:1", "2:1", "3:1"])
        #expect(try await second == ["2:1", "3:1", "4:1"])
        #expect(cities.batches == [[1, 2, 3], [4]] && cities.ones.isEmpty)
    }

    @Test("share their load with single calls, and those theirs")
    func singleCalls() async throws {
        let city = city()
        let gate = cities.stopNext()
        async let many = city.many([1, 2])
        try await gate.arrival()
        async let one = city(1)
        try await eventually { store.count(.get) >= 2 }
        gate.open()
        #expect(try await (many, one) == (["1:1", "2:1"], "1:1"))
        await cache.drain()
        let otherGate = cities.stopNext()
        async let three = city(3)
        try await otherGate.arrival()
        async let both = city.many([3, 4])
        try await eventually { cities.batches.count == 2 }
        otherGate.open()
        #expect(try await (three, both) == ("3:1", ["3:1", "4:1"]))
        #expect(cities.ones == [3] && cities.batches == [[1, 2], [4]])
    }

    /// dogpile.cache loads after it has waited, whatever has been cached meanwhile.
    @Test("read again after they have waited for another process, before they load")
    func readAgain() async throws {
        let (city, elsewhere) = (city(), Cities())
        let otherCity = self.city(in: otherProcess(), elsewhere)
        let gate = elsewhere.stopNext()
        async let other = otherCity(1)
        try await gate.arrival()
        let many = Task { try await city.many([1, 2]) }
        try await eventually { cities.batches == [[2]] }
        gate.open()
        #expect(try await other == "1:1")
        #expect(try await clock.advance(until: many) == ["1:1", "2:1"])
        #expect(cities.ones.isEmpty && cities.batches == [[2]])
    }

    // MARK: Invalidations

    @Test(
        "cache nothing that was loaded before an invalidation, of one element or of the group",
        arguments: [true, false])
    func invalidation(isGroup: Bool) async throws {
        let city = city()
        let gate = cities.stopNext()
        async let many = city.many([1, 2])
        try await gate.arrival()
        cities.grow()
        if isGroup { try await cache.invalidate(group: "cities") } else { try await city.invalidate(1) }
        // Calls that begin after it do not share it, either.
        async let later = city.many([1])
        #expect(try await later == ["1:2"])
        gate.open()
        #expect(try await many == ["1:1", "2:1"])
        await cache.drain()
        #expect(try await city.many([1, 2]) == ["1:2", isGroup ? "2:2" : "2:1"])
    }

    @Test("load together what an invalidation names that has failed here, until it is repeated")
    func pendingInvalidation() async throws {
        let city = city()
        _ = try await city.many([1, 2, 3])
        await cache.drain()
        cities.grow()
        store.setDown(true)
        await #expect(throws: (any Error).self) { try await cache.invalidate(group: "cities") }
        store.setDown(false)
        #expect(try await city.many([1, 2, 3]) == ["1:2", "2:2", "3:2"])
        #expect(cities.batches == [[1, 2, 3], [1, 2, 3]] && cities.ones.isEmpty)
        #expect(statistics.snapshot.reasons[.invalidationPending] == 3)
    }

    @Test(
        "tell their loader of the window of an invalidation, also where no lease is to be had",
        arguments: [true, false])
    func settling(isRefused: Bool) async throws {
        let city = city()
        _ = try await city.many([1, 2])
        await cache.drain()
        try await city.invalidate(1, settlingFor: .seconds(10))
        if isRefused { store.next(.compareAndSwap, .refuse) }
        _ = try await city.many([1, 2])
        #expect(cities.batches == [[1, 2], [1]] && cities.settling == [false, true])
    }

    // MARK: Stale values

    @Test("serve what is stale and refresh it together in the background")
    func stale() async throws {
        let city = city()
        _ = try await city.many([1, 2, 3])
        await cache.drain()
        clock.advance(by: .seconds(61))
        cities.grow()
        #expect(try await city.many([1, 2, 4]) == ["1:1", "2:1", "4:2"])
        await cache.drain()
        #expect(Set(cities.batches) == [[1, 2, 3], [1, 2], [4]])
        #expect(try await city.many([1, 2]) == ["1:2", "2:2"])
        #expect(statistics.snapshot.stale == 2)
    }

    @Test("wait for the new values where the policy says so")
    func foreground() async throws {
        let city = city(policy: CachePolicy(refresh: .foreground))
        _ = try await city.many([1, 2])
        await cache.drain()
        clock.advance(by: .seconds(61))
        cities.grow()
        #expect(try await city.many([1, 2]) == ["1:2", "2:2"])
    }

    @Test("are served stale where the lease of the new value is refused")
    func refusedClaims() async throws {
        let city = city(policy: CachePolicy(refresh: .foreground))
        _ = try await city.many([1, 2])
        await cache.drain()
        clock.advance(by: .seconds(61))
        cities.grow()
        for _ in 0..<2 { store.next(.compareAndSwap, .refuse) }
        #expect(try await city.many([1, 2]) == ["1:1", "2:1"])
        #expect(cities.batches.count == 1)
    }

    @Test("load what is missing before they refresh what is stale, where one load may run")
    func missingFirst() async throws {
        let city = city(policy: CachePolicy(maximumLoads: 1))
        _ = try await city.many([1])
        await cache.drain()
        clock.advance(by: .seconds(61))
        cities.grow()
        #expect(try await city.many([1, 2]) == ["1:1", "2:2"])
        await cache.drain()
        #expect(cities.batches == [[1], [2]])
    }

    // MARK: Trouble

    @Test("load together when the store is away, and share that with the same call")
    func storeAway() async throws {
        let city = city()
        store.setDown(true)
        #expect(try await city.many([1, 2, 3]) == ["1:1", "2:1", "3:1"])
        #expect(cities.batches == [[1, 2, 3]] && cities.ones.isEmpty)
        store.setDown(false)
        #expect(try await city.many([1, 2]) == ["1:1", "2:1"])
        #expect(cities.batches.count == 2)
    }

    @Test("are served what is held when the store is away, where the policy says so")
    func held() async throws {
        let city = city(policy: CachePolicy(whenAway: .serveHeld(for: .seconds(60))))
        _ = try await city.many([1, 2])
        await cache.drain()
        try await city.invalidate(2)
        store.setDown(true)
        cities.grow()
        #expect(try await city.many([1, 2]) == ["1:1", "2:2"])
    }

    @Test("load when the store takes no lease", arguments: [true, false])
    func refusedLeases(isLost: Bool) async throws {
        let city = city()
        _ = try await city(9)
        await cache.drain()
        for _ in 0..<2 { store.next(.add, isLost ? .loseAnswer : .refuse) }
        #expect(try await city.many([1, 2]) == ["1:1", "2:1"])
        #expect(cities.batches == [[1, 2]] && cities.ones == [9])
    }

    @Test("do not wait for their own load before they load what got no lease")
    func refusedBeside() async throws {
        let city = city()
        _ = try await city(9)
        await cache.drain()
        store.next(.add, .refuse)
        let gate = cities.stopNext()
        async let many = city.many([1, 2])
        try await gate.arrival()
        try await eventually { cities.batches.count == 2 }
        gate.open()
        #expect(try await many == ["1:1", "2:1"])
    }

    /// What stood there when the call began was invalid until the invalidation had been repeated, which took it away.
    @Test("read again what waited for its turn to be loaded by itself")
    func lateElements() async throws {
        let (gate, waiting, version) = (Gate(), Counter(), Counter())
        let number = cache.cached("number", ttl: .seconds(600)) { (number: Int) in
            if number < 16 {
                waiting.increment()
                try await gate.pass()
            }
            return version.value
        }
        #expect(try await number(16) == 0)
        await cache.drain()
        version.increment()
        store.setDown(true)
        await #expect(throws: (any Error).self) { try await number.invalidate(16) }
        store.setDown(false)
        async let many = number.many(Array(0..<17))
        try await eventually { waiting.value == 16 }
        try await eventually {
            clock.advance(by: .milliseconds(100))
            return cache.pendingInvalidations.isEmpty
        }
        gate.open()
        #expect(try await many == Array(repeating: 1, count: 17))
    }

    // MARK: Bounds

    @Test("are one load for the bound of loads, and wait for their turn")
    func bound() async throws {
        let city = city(policy: CachePolicy(maximumLoads: 1))
        let gate = cities.stopNext()
        async let first = city.many([1, 2])
        try await gate.arrival()
        let reads = store.count(.get)
        async let second = city.many([3, 4])
        try await eventually { store.count(.get) > reads }
        for _ in 0..<100 { await Task.yield() }
        #expect(cities.batches == [[1, 2]])
        gate.open()
        #expect(try await first == ["1:1", "2:1"])
        #expect(try await second == ["3:1", "4:1"])
        #expect(cities.mostRunning == 1)
    }

    @Test("give their turn back when they are cancelled while they read again")
    func cancelledTurn() async throws {
        let city = city(policy: CachePolicy(maximumLoads: 1))
        let (gate, reading) = (cities.stopNext(), Gate())
        async let first = city.many([1, 2])
        try await gate.arrival()
        let reads = store.count(.get)
        let second = Task { try await city.many([3, 4]) }
        try await eventually { store.count(.get) > reads }
        for _ in 0..<100 { await Task.yield() }
        store.next(.get, .pauseBefore(reading))
        gate.open()
        #expect(try await first == ["1:1", "2:1"])
        try await reading.arrival()
        second.cancel()
        await #expect(throws: CancellationError.self) { try await second.value }
        reading.open()
        #expect(try await city.many([5]) == ["5:1"])
    }

    @Test("wait no longer than the soft time-out, and the load goes on")
    func softTimeout() async throws {
        let city = city(policy: CachePolicy(loadTimeout: .init(soft: .seconds(2))))
        #expect(try await city(1) == "1:1")
        await cache.drain()
        let gate = cities.stopNext()
        let many = Task { try await city.manyResults([1, 2]) }
        try await gate.arrival()
        let results = try await clock.advance(until: many)
        #expect(try results[0].get() == "1:1")
        let error = #expect(throws: CacheError.self) { try results[1].get() }
        #expect(error?.code == .loadTimeout)
        gate.open()
        await cache.drain()
        #expect(try await city.peek(2) == "2:1")
    }

    @Test("end when their task is cancelled, and what they load is cached all the same")
    func cancellation() async throws {
        let city = city()
        let gate = cities.stopNext()
        let task = Task { try await city.many([1, 2]) }
        try await gate.arrival()
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        gate.open()
        await cache.drain()
        #expect(try await city.many([1, 2]) == ["1:1", "2:1"])
        #expect(cities.batches.count == 1)
    }

    @Test("fail at once in a loader that needs one of its own values")
    func reentrant() async throws {
        let box = Mutex<CachedFunction<Int, String>?>(nil)
        let city = cache.cached("circle", ttl: .seconds(60)) { (number: Int) in
            "one"
        } loadMany: { numbers in
            guard let city = box.withLock(\.self) else { return [] }
            return try await city.many(numbers.reversed())
        }
        box.withLock { $0 = city }
        for result in try await city.manyResults([1, 2]) {
            let error = #expect(throws: CacheError.self) { try result.get() }
            #expect(error?.code == .reentrantLoad)
        }
        await cache.drain()
        #expect(try await city(1) == "one")
    }

    @Test("say what is wrong with their arguments before they ask for anything")
    func badArguments() async throws {
        let city = cache.cached("", ttl: .seconds(60)) { (number: Int) in "one" }
        let error = await #expect(throws: CacheError.self) { try await city.many([1]) }
        #expect(error?.code == .invalidKey && store.roundTrips == 0)
    }
}
