import CacheUtils
import TestSupport
import Testing

/// Nobody waits for another caller's load for longer than a lease runs, wherever it runs and whatever the clocks do:
/// I4.
@Suite("A wait for another's load", .timeLimit(.minutes(5)))
struct BoundedWaitTests {
    /// Where the load runs that others wait for.
    enum Place: CaseIterable, Sendable {
        case leased, withoutStore, refreshed
    }

    private func use(_ value: CachedFunction<Int>, _ place: Place) async throws -> Int {
        place == .refreshed ? try await value.refresh() : try await value()
    }

    @Test("has a bound, though one loader after the other never returns", arguments: Place.allCases, [1, 2, 4])
    func stuckLoaders(place: Place, stuck: Int) async throws {
        let clock = ManualClock()
        let scripted = ScriptedStore(InMemoryStore(clock: clock))
        let bench = Bench(scripted, clock: clock)
        scripted.setDown(place == .withoutStore)
        let (never, loads) = (Gate(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(600), leaseFor: .seconds(10)) {
            let number = loads.increment()
            if number <= stuck { try await never.pass() }
            return number
        }
        let callers = (0..<20).map { _ in Task { try await use(value, place) } }
        let answered = Counter()
        for caller in callers {
            Task {
                _ = try await caller.value
                answered.increment()
            }
        }
        let began = bench.clock.elapsed
        // Those whose own loads are stuck wait on.
        try await eventually {
            await Task.yield()
            if answered.value >= 20 - stuck { return true }
            if bench.clock.sleeping > 0 { bench.clock.advance(by: .milliseconds(500)) }
            return false
        }
        // A lease for each of them, prolonged where there is a store, and one more. A refresh may have waited for a
        // lease before it took its own.
        #expect(bench.clock.elapsed - began <= .seconds(place == .refreshed ? 42 : 20) * (stuck + 1))
        never.open()
        for caller in callers { _ = try await caller.value }
    }

    /// Who is there when a lease is over.
    enum Audience: CaseIterable, Sendable {
        case nobody, theCaller, aBackgroundRefresh
        /// Whoever shares the load is let go when its lease is over, and loads for itself.
        case another
    }

    @Test("is all that keeps a load from being cancelled whose lease is over", arguments: Audience.allCases)
    func cancellation(audience: Audience) async throws {
        try await withMemcached { store, _ async throws in try await cancellation(audience, Bench(store)) }
    }

    private func cancellation(_ audience: Audience, _ bench: Bench) async throws {
        let (started, gate, cancelled, loads) = (Gate(), Gate(), Counter(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(10), leaseFor: .seconds(10)) {
            guard loads.increment() == (audience == .aBackgroundRefresh ? 2 : 1) else { return 0 }
            return await withTaskCancellationHandler {
                started.open()
                try? await gate.pass()
                return 1
            } onCancel: {
                cancelled.increment()
                gate.open()
            }
        }
        if audience == .aBackgroundRefresh {
            _ = try await value()
            await bench.settle()
            bench.clock.advance(by: .seconds(10))
        }
        let caller = Task { try await value() }
        try await started.pass()
        let other = audience == .another ? Task { try await value() } : nil
        for _ in 0..<200 { await Task.yield() }
        if audience != .theCaller { caller.cancel() }
        for _ in 0..<200 { await Task.yield() }
        if audience == .aBackgroundRefresh { #expect(try await caller.value == 0) }
        // To the end of the longest lease, in steps that let it be prolonged.
        for _ in 0..<12 {
            bench.clock.advance(by: .milliseconds(2500))
            for _ in 0..<50 { await Task.yield() }
        }
        let isCancelled = audience == .nobody || audience == .another
        if isCancelled { try await eventually { cancelled.value == 1 } }
        #expect(cancelled.value == (isCancelled ? 1 : 0))
        gate.open()
        if audience == .theCaller { #expect(try await caller.value == 1) }
        _ = try await other?.value
        // Its register is filled or given back all the same.
        await bench.settle()
        #expect(bench.statistics.snapshot.storeTroubles == 0)
        _ = try await value()
        await bench.settle()
        #expect(try await value.peek() != nil)
    }

    @Test("does not depend on the wall clock, which may be set back", arguments: Place.allCases)
    func clockSetBack(place: Place) async throws {
        let clock = ManualClock()
        let scripted = ScriptedStore(InMemoryStore(clock: clock))
        let bench = Bench(scripted, clock: clock)
        scripted.setDown(place == .withoutStore)
        let (never, loads) = (Gate(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(600), leaseFor: .seconds(10)) {
            try await loads.next(firstWaitsAt: never)
        }
        let stuck = Task { try await use(value, place) }
        try await never.arrival()
        let sharer = Task { try await use(value, place) }
        try await eventually { scripted.count(.get) >= 2 || place == .refreshed }
        bench.clock.set(by: .seconds(-3600))
        let began = bench.clock.elapsed
        let answered = Counter()
        Task {
            _ = try await sharer.value
            answered.increment()
        }
        try await eventually {
            if answered.value == 1 { return true }
            if bench.clock.sleeping > 0 { bench.clock.advance(by: .milliseconds(500)) }
            return false
        }
        #expect(bench.clock.elapsed - began <= .seconds(60))
        #expect(try await sharer.value >= 2)
        never.open()
        #expect(try await stuck.value == 1)
    }

    @Test("without a store: a caller that has left two loads loads by itself")
    func byItself() async throws {
        let clock = ManualClock()
        let scripted = ScriptedStore(InMemoryStore(clock: clock))
        let bench = Bench(scripted, clock: clock)
        scripted.setDown(true)
        let (never, loads) = (Gate(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(600), leaseFor: .seconds(10)) {
            let number = loads.increment()
            try await never.pass()
            return number
        }
        let callers = (0..<20).map { _ in Task { try await value() } }
        let began = bench.clock.elapsed
        try await eventually {
            if loads.value == 20 { return true }
            if bench.clock.sleeping > 0 { bench.clock.advance(by: .milliseconds(500)) }
            return false
        }
        #expect(bench.clock.elapsed - began <= .seconds(50))
        never.open()
        for caller in callers { _ = try await caller.value }
    }

    @Test("has a bound when the load has landed and its fill hangs, too")
    func hangingFill() async throws {
        // Nothing expires by the real time, however long this takes.
        let clock = ManualClock()
        let scripted = ScriptedStore(InMemoryStore(clock: clock))
        let bench = Bench(scripted, clock: clock)
        let (gate, hang, loads) = (Gate(), Gate(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(60), leaseFor: .seconds(2)) {
            try await loads.next(firstWaitsAt: gate)
        }
        let first = Task { try await value() }
        try await gate.arrival()
        let refresh = Task { try await value.refresh() }
        try await eventually { scripted.count(.get) >= 2 }
        scripted.next(.get, .pauseBefore(hang))
        gate.open()
        #expect(try await first.value == 1)
        try await hang.arrival()
        let began = bench.clock.elapsed
        let answered = Counter()
        Task {
            defer { answered.increment() }
            _ = try await refresh.value
        }
        try await eventually {
            // What the time brings about is to happen before it goes on.
            for _ in 0..<100 { await Task.yield() }
            if answered.value == 0, bench.clock.sleeping > 0 { bench.clock.advance(by: .milliseconds(500)) }
            return answered.value == 1
        }
        #expect(bench.clock.elapsed - began <= .seconds(6))
        hang.open()
        #expect(try await refresh.value == 2)
    }

    @Test("is over for those who come when the lease is, though the clock was set back meanwhile")
    func newCaller() async throws {
        let bench = Bench(InMemoryStore())
        let (never, loads) = (Gate(), Counter())
        let policy = CachePolicy(leaseFor: .seconds(2), longestLease: .seconds(2))
        let value = bench.cache.cached("value", ttl: .seconds(60), policy: policy) {
            try await loads.next(firstWaitsAt: never)
        }
        let stuck = Task { try await value() }
        try await never.arrival()
        let sharer = Task { try await value() }
        for _ in 0..<2000 { await Task.yield() }
        bench.clock.set(by: .seconds(-3600))
        bench.clock.advance(by: .seconds(3))
        // Nobody moves the clock on from here.
        #expect(try await sharer.value == 2)
        #expect(try await value() == 2)
        never.open()
        #expect(try await stuck.value == 1)
    }

    @Test("goes on when the clock is set forward: no second load begins beside one of this process")
    func clockSetForward() async throws {
        let bench = Bench(InMemoryStore())
        let (gate, loads) = (Gate(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(60)) { try await loads.next(firstWaitsAt: gate) }
        let first = Task { try await value() }
        try await gate.arrival()
        bench.clock.set(by: .seconds(3600))
        let second = Task { try await value() }
        for _ in 0..<2000 { await Task.yield() }
        #expect(loads.value == 1)
        gate.open()
        #expect(try await first.value == 1)
        #expect(try await second.value == 1)
    }
}
