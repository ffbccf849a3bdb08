import CacheUtils
import Synchronization
import TestSupport
import Testing

/// The source is kept from more loads than it can take.
@Suite("The load shield", .timeLimit(.minutes(5)))
struct LoadShieldTests {
    /// A source that notes how many loads run in it at a time.
    private final class Source: Sendable {
        private struct State {
            var running = 0
            var most = 0
            var loads = 0
            var isFailing = false
        }

        struct Down: Error {}

        private let state = Mutex(State())

        var most: Int { state.withLock(\.most) }
        var loads: Int { state.withLock(\.loads) }
        var running: Int { state.withLock(\.running) }

        func setFailing(_ isFailing: Bool) { state.withLock { $0.isFailing = isFailing } }
        func forgetMost() { state.withLock { $0.most = 0 } }

        func load(_ number: Int, _ gate: Gate = .opened) async throws -> Int {
            state.withLock { state in
                state.running += 1
                state.loads += 1
                state.most = max(state.most, state.running)
            }
            defer { state.withLock { $0.running -= 1 } }
            try await gate.pass()
            for _ in 0..<50 { await Task.yield() }
            if state.withLock(\.isFailing) { throw Down() }
            return number
        }
    }

    private let clock = ManualClock()
    private let store = ScriptedStore(InMemoryStore())
    private let source = Source()
    private let statistics = CacheStatistics()

    private func cache(_ policy: CachePolicy = CachePolicy()) -> Cache {
        Cache(
            store: store, namespace: "s", policy: policy, clock: clock, observer: statistics, trapsBadOptions: false)
    }

    @Test(
        "lets no more loads run at a time than it may, and all callers are served", arguments: [false, true], [1, 3])
    func bound(isDown: Bool, most: Int) async throws {
        store.setDown(isDown)
        let cache = cache(CachePolicy(maximumLoads: most))
        let functions = ["f", "g"].map { name in
            cache.cached(name, ttl: .seconds(60)) { [source] (number: Int) in try await source.load(number) }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    let value = try await functions[number % 2](number / 2)
                    #expect(value == number / 2)
                }
            }
            try await group.waitForAll()
        }
        #expect(source.most == most && source.loads == 200)
    }

    @Test("bounds each function by its own policy, within the cache's")
    func perFunction() async throws {
        let cache = cache(CachePolicy(maximumLoads: 4))
        let (gate, other) = (Gate(), Source())
        let narrow = cache.cached("narrow", ttl: .seconds(60), policy: CachePolicy(maximumLoads: 2)) {
            [source] (number: Int) in try await source.load(number, gate)
        }
        let wide = cache.cached("wide", ttl: .seconds(60)) { (number: Int) in try await other.load(number, gate) }
        let callers = (0..<10).map { number in Task { try await narrow(number) } }
        try await eventually { source.running == 2 }
        let rest = (0..<10).map { number in Task { try await wide(number) } }
        try await eventually { other.running == 2 }
        gate.open()
        for caller in callers { _ = try await caller.value }
        for caller in rest { _ = try await caller.value }
        #expect(source.most == 2 && other.most <= 4)
    }

    @Test("has callers wait in a line that is bounded in length and in time")
    func line() async throws {
        let gate = Gate()
        let value = cache(CachePolicy(maximumLoads: 1, maximumWaitingLoads: 2)).cached("f", ttl: .seconds(60)) {
            [source] (number: Int) in try await source.load(number, gate)
        }
        let first = Task { try await value(0) }
        try await gate.arrival()
        let waiting = (1...2).map { number in Task { try await value(number) } }
        try await eventually { clock.sleeping > 0 && store.count(.get) == 3 }
        var refused: CacheError?
        try await eventually {
            do { _ = try await value(3) } catch let error as CacheError { refused = error }
            return refused != nil
        }
        #expect(refused?.code == .tooManyLoads)
        #expect(statistics.snapshot.refusedLoads >= 1)
        // It is nobody's turn for as long as the longest lease.
        waiting[0].cancel()
        await #expect(throws: CancellationError.self) { try await waiting[0].value }
        try await eventually {
            clock.advance(by: .seconds(10))
            return statistics.snapshot.refusedLoads >= 2
        }
        let late = await #expect(throws: CacheError.self) { try await waiting[1].value }
        #expect(late?.code == .tooManyLoads)
        gate.open()
        #expect(try await first.value == 0)
        #expect(try await value(4) == 4)
    }

    @Test(
        "serves what is kept for errors in place of a load that has no room, if the rule includes that error",
        arguments: [true, false], ["call", "many"])
    func keptForErrors(includes: Bool, way: String) async throws {
        let (gate, policy) = (
            Gate(),
            CachePolicy(
                staleFor: .zero,
                staleIfError: .init(for: .seconds(3600)) { includes || ($0 as? CacheError)?.code != .tooManyLoads },
                maximumLoads: 1)
        )
        let (cache, loads) = (cache(policy), Counter())
        let value = cache.cached("f", ttl: .seconds(10)) { (number: Int) in
            if number == 9 { try await gate.pass() }
            return loads.increment()
        } loadMany: { numbers in
            numbers.map { _ in loads.increment() }
        }
        #expect(try await value(1) == 1)
        await cache.drain()
        clock.advance(by: .seconds(11))
        let busy = Task { try await value(9) }
        try await gate.arrival()
        let call = Task { way == "call" ? try await value(1) : try await value.many([1])[0] }
        if includes {
            #expect(try await call.value == 1)
            gate.open()
        } else {
            // It has read what stands there, and waits for its turn.
            try await eventually { store.count(.get) >= 4 }
            for _ in 0..<100 { await Task.yield() }
            gate.open()
            #expect(try await call.value > 1)
        }
        _ = try await busy.value
    }

    @Test("serves a stale value in place of a load that has no room, without waiting")
    func stale() async throws {
        let gate = Gate()
        let cache = cache(CachePolicy(staleFor: .seconds(60), maximumLoads: 1))
        let value = cache.cached("f", ttl: .seconds(10)) { [source] (number: Int) in
            try await source.load(number, number == 9 ? gate : .opened)
        }
        #expect(try await value(1) == 1)
        await cache.drain()
        clock.advance(by: .seconds(11))
        let busy = Task { try await value(9) }
        try await gate.arrival()
        for _ in 1...3 { #expect(try await value(1) == 1) }
        #expect(source.loads == 2 && statistics.snapshot.stale == 3)
        gate.open()
        _ = try await busy.value
        await cache.drain()
        #expect(try await value(1) == 1)
        await cache.drain()
        #expect(source.loads == 3)
    }

    @Test("has what stands in the store read again after a wait: what was loaded meanwhile is not loaded once more")
    func readAgain() async throws {
        let gate = Gate()
        let value = cache(CachePolicy(maximumLoads: 1)).cached("f", ttl: .seconds(60)) { [source] (number: Int) in
            try await source.load(number, gate)
        }
        let elsewhere = Cache(store: store, namespace: "s", clock: clock)
            .cached("f", ttl: .seconds(60)) { (number: Int) in 100 + number }
        let busy = Task { try await value(0) }
        try await gate.arrival()
        let waiting = Task { try await value(1) }
        try await eventually { store.count(.get) >= 2 }
        for _ in 0..<500 { await Task.yield() }
        #expect(try await elsewhere(1) == 101)
        try await eventually { try await elsewhere.peek(1) == 101 }
        gate.open()
        #expect(try await busy.value == 0)
        #expect(try await waiting.value == 101)
        #expect(source.loads == 1)
    }

    @Test("lets a load have what it asks for: it has its place already", arguments: [false, true])
    func nested(isDown: Bool) async throws {
        store.setDown(isDown)
        let cache = cache(CachePolicy(maximumLoads: 1))
        let inner = cache.cached("inner", ttl: .seconds(60)) { [source] (number: Int) in try await source.load(number) }
        let outer = cache.cached("outer", ttl: .seconds(60)) { (number: Int) in try await inner(number) + inner(-number)
        }
        for number in 1...3 { #expect(try await outer(number) == 0) }
        #expect(try await outer.refresh(1) == 0)
    }

    @Test("lets a call load whose turn has come when the store has failed meanwhile, or another one's lease runs")
    func turnInVain() async throws {
        let (gate, elsewhere) = (Gate(), Gate())
        let cache = cache(CachePolicy(leaseFor: .seconds(30), maximumLoads: 1))
        let value = cache.cached("f", ttl: .seconds(60)) { [source] (number: Int) in
            try await source.load(number, number == 0 ? gate : .opened)
        }
        let busy = Task { try await value(0) }
        try await gate.arrival()
        let waiting = [1, 2].map { number in Task { try await value(number) } }
        try await eventually { store.count(.get) >= 3 }
        for _ in 0..<500 { await Task.yield() }
        // One of them finds the lease of another process then.
        let other = Cache(store: store, namespace: "s", clock: clock).cached("f", ttl: .seconds(60)) {
            (number: Int) in
            try await elsewhere.pass()
            return number
        }
        let foreign = Task { try await other(1) }
        try await elsewhere.arrival()
        gate.open()
        #expect(try await busy.value == 0)
        #expect(try await waiting[1].value == 2)
        #expect(try await value(3) == 3)
        elsewhere.open()
        _ = try await foreign.value
        try await eventually {
            clock.advance(by: .milliseconds(100))
            return waiting[0].isCancelled || statistics.snapshot.misses + statistics.snapshot.hits >= 4
        }
        #expect(try await waiting[0].value == 1)

        let second = Gate()
        let slow = cache.cached("g", ttl: .seconds(60)) { (number: Int) in
            if number == 0 { try await second.pass() }
            return number
        }
        let running = Task { try await slow(0) }
        try await second.arrival()
        let gets = store.count(.get)
        let late = Task { try await slow(1) }
        try await eventually { store.count(.get) > gets }
        for _ in 0..<500 { await Task.yield() }
        store.setDown(true)
        second.open()
        #expect(try await running.value == 0)
        #expect(try await late.value == 1)
    }

    @Test("lets a load have what another call waits to load, without a store", arguments: [false, true])
    func nestedBehindAnother(refreshes: Bool) async throws {
        store.setDown(true)
        let cache = cache(CachePolicy(maximumLoads: 1))
        let gate = Gate()
        let inner = cache.cached("inner", ttl: .seconds(60)) { (number: Int) in number }
        let outer = cache.cached("outer", ttl: .seconds(60)) { (number: Int) in
            try await gate.pass()
            return refreshes ? try await inner.refresh(number) : try await inner(number)
        }
        let first = Task { try await outer(1) }
        try await gate.arrival()
        let gets = store.count(.get)
        let second = Task { refreshes ? try await inner.refresh(1) : try await inner(1) }
        try await eventually { store.count(.get) > gets }
        for _ in 0..<500 { await Task.yield() }
        gate.open()
        #expect(try await first.value == 1)
        #expect(try await second.value == 1)
    }

    @Test("lets loads in slowly when the source is back after an outage, and not after single failures")
    func outage() async throws {
        let value = cache(CachePolicy(failurePause: .none, maximumLoads: 8)).cached("f", ttl: .seconds(60)) {
            [source] (number: Int) in try await source.load(number)
        }
        func most(of count: Int, from first: Int) async -> Int {
            source.forgetMost()
            await withTaskGroup(of: Void.self) { group in
                for number in first..<first + count { group.addTask { _ = try? await value(number) } }
            }
            return source.most
        }
        source.setFailing(true)
        _ = await most(of: 5, from: 0)
        source.setFailing(false)
        #expect(await most(of: 100, from: 100) == 8)
        source.setFailing(true)
        _ = await most(of: 8, from: 0)
        // As long as it is away one tries.
        #expect(await most(of: 20, from: 0) == 1)
        source.setFailing(false)
        #expect(await most(of: 1, from: 200) == 1)
        #expect(await most(of: 2, from: 300) <= 2)
        #expect(await most(of: 100, from: 400) <= 8)
        #expect(await most(of: 100, from: 600) == 8)
    }

    @Test("takes loads whose time is over, and those that report a failure, for failed", arguments: [false, true])
    func outageInSilence(reports: Bool) async throws {
        let gate = Gate()
        let policy = CachePolicy(
            failurePause: .none, loadTimeout: .init(hard: reports ? nil : .seconds(3)), maximumLoads: 4)
        let (ended, most) = (Counter(), Counter())
        let value = cache(policy).cached("f", ttl: .seconds(60)) { [source] (number: Int) in
            if number >= 100 { return try await source.load(number) }
            if reports { CacheLoad.reportFailure(Source.Down()) } else { try await gate.pass() }
            return most.increment()
        }
        for number in 0..<4 {
            Task {
                _ = try? await value(number)
                ended.increment()
            }
        }
        try await eventually {
            if !reports { clock.advance(by: .milliseconds(100)) }
            return ended.value == 4
        }
        await withTaskGroup(of: Void.self) { group in
            for number in 100..<102 { group.addTask { _ = try? await value(number) } }
        }
        #expect(source.most == 1)
    }

    @Test("counts background refreshes that a load begins: they outlive it")
    func backgroundWithin() async throws {
        let gate = Gate()
        let cache = cache(CachePolicy(staleFor: .seconds(600), maximumLoads: 1))
        let inner = cache.cached("inner", ttl: .seconds(10)) { [source] (number: Int) in
            try await source.load(number, source.loads < 20 ? .opened : gate)
        }
        for number in 0..<20 { #expect(try await inner(number) == number) }
        await cache.drain()
        clock.advance(by: .seconds(11))
        let outer = cache.cached("outer", ttl: .seconds(60)) {
            var sum = 0
            for number in 0..<20 { sum += try await inner(number) }
            return sum
        }
        #expect(try await outer() == 190)
        for _ in 0..<500 { await Task.yield() }
        #expect(source.running == 0)
        gate.open()
    }

    @Test("counts the load of a refresh for as long as its loader runs")
    func stubbornRefresh() async throws {
        let gate = Gate()
        let policy = CachePolicy(loadTimeout: .init(hard: .seconds(3)), maximumLoads: 1)
        let value = cache(policy).cached("f", ttl: .seconds(60)) { [source] (number: Int) in
            // Whoever waits in a task of its own is not cancelled with this one.
            try await Task.detached { try await source.load(number, gate) }.value
        }
        for number in 0..<3 {
            let ended = Counter()
            Task {
                _ = try? await value.refresh(number)
                ended.increment()
            }
            try await eventually {
                clock.advance(by: .seconds(1))
                return ended.value == 1
            }
        }
        #expect(source.most == 1)
        gate.open()
    }

    @Test("says what is wrong with a bound that cannot be")
    func badBounds() async throws {
        for policy in [
            CachePolicy(maximumLoads: 0), CachePolicy(maximumLoads: -1), CachePolicy(maximumWaitingLoads: -1),
        ] {
            let error = await #expect(throws: CacheError.self) {
                try await cache(policy).cached("f", ttl: .seconds(1)) { 1 }()
            }
            #expect(error?.code == .invalidConfiguration)
        }
    }
}
