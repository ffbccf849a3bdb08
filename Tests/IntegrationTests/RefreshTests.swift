import CacheUtils
import TestSupport
import Testing

/// Whoever is nearly done is not disturbed, and a refresh has replaced what was cached when it returns.
@Suite("A refresh", .timeLimit(.minutes(5)))
struct RefreshTests {
    @Test("never shares a load that began before it, and waits for its fill", arguments: StoreKind.allCases)
    func waits(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let (gate, loads) = (Gate(), Counter())
            let value = bench.cache.cached("value", ttl: .seconds(60)) { try await loads.next(firstWaitsAt: gate) }
            let early = Task { try await value() }
            try await gate.arrival()
            let refresh = Task { try await value.refresh() }
            // The load that runs is not thrown away.
            gate.open()
            #expect(try await early.value == 1)
            #expect(try await refresh.value == 2)
            #expect(try await value.peek() == 2)
            #expect(loads.value == 2)
            #expect(bench.statistics.snapshot.droppedFills == 0)
        }
    }

    @Test(
        "of another process is waited for, and a value whose load began later is as good", arguments: StoreKind.allCases
    )
    func twoProcesses(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store, clock: ManualClock(advancesInSleep: true))
            let (elsewhere, loads) = (CacheStatistics(), Counter())
            let other = Cache(store: store, namespace: "shop", version: "7", clock: bench.clock, observer: elsewhere)
            let functions = [bench.cache, other].map { cache in
                cache.cached("value", ttl: .seconds(3600)) { () async throws -> Int in
                    for _ in 0..<20 { await Task.yield() }
                    return loads.increment()
                }
            }
            // Each in a loop: nobody's fills are dropped, and nobody is kept from refreshing.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for function in functions {
                    group.addTask {
                        var last = 0
                        for _ in 0..<30 {
                            let before = loads.value
                            let value = try await function.refresh()
                            #expect(value > before, "a load that began before the refresh did")
                            #expect(value > last)
                            last = value
                            #expect(try #require(try await function.peek()) >= value)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let counts = [bench.statistics.snapshot, elsewhere.snapshot]
            #expect(counts.map(\.droppedFills).reduce(0, +) == 0)
            #expect(counts.map(\.fills).reduce(0, +) == loads.value)
        }
    }

    @Test("that comes while others run shares the next one with all who wait for it", arguments: StoreKind.allCases)
    func queue(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let (gates, loads) = ([Gate(), Gate(), Gate.opened], Counter())
            let value = bench.cache.cached("value", ttl: .seconds(60)) {
                let number = loads.increment()
                try await gates[number - 1].pass()
                return number
            }
            let first = Task { try await value.refresh() }
            try await gates[0].arrival()
            let (came, later) = (Counter(), 20)
            let others = (0..<later).map { _ in
                Task {
                    came.increment()
                    return try await value.refresh()
                }
            }
            try await eventually { came.value == later }
            for _ in 0..<1000 { await Task.yield() }
            gates[0].open()
            #expect(try await first.value == 1)
            // It stands in the store by now, whatever comes after it.
            #expect(try await value.peek() == 1)
            try await gates[1].arrival()
            let last = Task { try await value.refresh() }
            gates[1].open()
            for other in others { #expect(try await other.value == 2) }
            #expect(try await last.value == 3)
            #expect(loads.value == 3)
            #expect(bench.statistics.snapshot.fills == 3)
        }
    }

    @Test("returns when its value is stored", arguments: StoreKind.allCases)
    func confirms(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let scripted = ScriptedStore(store)
            let bench = Bench(scripted)
            let (loads, fill, returned) = (Counter(), Gate(), Counter())
            let value = bench.cache.cached("value", ttl: .seconds(60)) { loads.increment() }
            scripted.next(.compareAndSwap, .pauseBefore(fill))
            let refresh = Task {
                defer { returned.increment() }
                return try await value.refresh()
            }
            try await fill.arrival()
            for _ in 0..<100 { await Task.yield() }
            #expect(returned.value == 0)
            fill.open()
            #expect(try await refresh.value == 1)
        }
    }

    /// What keeps a refreshed value from being stored.
    enum Obstacle: CaseIterable, Sendable {
        case fillFails, fillTimesOut, fillRefused, everyFillRefused, readFails, leaseFails, storeIsAway, takenOver
    }

    @Test(
        "whose value cannot be stored removes the old one, so that nobody reads that any more",
        arguments: Obstacle.allCases)
    func unconfirmed(obstacle: Obstacle) async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let loads = Counter()
        let value = bench.cache.cached("value", ttl: .seconds(60)) {
            if obstacle == .storeIsAway { scripted.setDown(true) }
            return loads.increment()
        }
        if obstacle == .storeIsAway {
            _ = try await bench.otherProcess().cached("value", ttl: .seconds(60)) { loads.increment() }.refresh()
        } else {
            #expect(try await value() == 1)
        }
        await bench.settle()
        let claim = Gate.opened
        switch obstacle {
        case .fillFails, .fillTimesOut, .fillRefused:
            scripted.next(.compareAndSwap, .pauseBefore(claim))
            scripted.next(
                .compareAndSwap, [.fillFails: .failBefore, .fillTimesOut: .timeOut][obstacle] ?? .refuse)
        case .everyFillRefused:
            scripted.next(.compareAndSwap, .pauseBefore(claim))
            for _ in 1...3 { scripted.next(.compareAndSwap, .refuse) }
        case .readFails:
            scripted.next(.get, .pauseBefore(.opened))
            scripted.next(.get, .failBefore)
        case .leaseFails: scripted.next(.compareAndSwap, .failBefore)
        case .storeIsAway, .takenOver: break
        }
        #expect(try await value.refresh() == 2)
        if obstacle == .storeIsAway {
            // Nobody here is served the old one as soon as the store answers, though it is there.
            #expect(bench.statistics.snapshot.failedInvalidations > 0)
            scripted.setDown(false)
            #expect(try await scripted.get(value.key()) != nil)
            #expect(try await value.peek() == nil)
            try await eventually {
                bench.clock.advance(by: .milliseconds(100))
                return try await bench.otherProcess().cached("value", ttl: .seconds(60)) { 0 }.peek() == nil
            }
        } else if obstacle != .takenOver {
            #expect(try await bench.otherProcess().cached("value", ttl: .seconds(60)) { 0 }.peek() == nil)
        }
        #expect(try await value() >= 2)
    }

    @Test("whose lease was taken over removes the old value and leaves the other its lease")
    func takenOver() async throws {
        let bench = Bench(InMemoryStore())
        let (mine, theirs, loads) = (Gate(), Gate(), Counter())
        let policy = CachePolicy(leaseFor: .seconds(5), longestLease: .seconds(5))
        let value = bench.cache.cached("value", ttl: .seconds(60), policy: policy) {
            let number = loads.increment()
            if number == 2 { try await mine.pass() }
            return number
        }
        let elsewhere = bench.otherProcess().cached("value", ttl: .seconds(60), policy: policy) {
            let number = loads.increment()
            try await theirs.pass()
            return number
        }
        #expect(try await value() == 1)
        await bench.settle()
        let refresh = Task { try await value.refresh() }
        try await mine.arrival()
        bench.clock.advance(by: .seconds(6))
        let other = Task { try await elsewhere.refresh() }
        try await theirs.arrival()
        mine.open()
        #expect(try await refresh.value == 2)
        #expect(try await value.peek() == nil)
        theirs.open()
        #expect(try await other.value == 3)
        #expect(try await value.peek() == 3)
    }

    @Test("that fails leaves what was cached", arguments: StoreKind.allCases)
    func fails(kind: StoreKind) async throws {
        struct Failure: Error {}
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let loads = Counter()
            let value = bench.cache.cached("value", ttl: .seconds(60)) {
                guard loads.increment() == 1 else { throw Failure() }
                return 1
            }
            #expect(try await value.refresh() == 1)
            await #expect(throws: Failure.self) { try await value.refresh() }
            await bench.settle()
            #expect(try await value() == 1)
        }
    }

    /// Lets all tasks go on as far as they can.
    private func settle() async { for _ in 0..<2000 { await Task.yield() } }

    @Test("that comes while another one waits for loads of others gets none that began before it")
    func joinedWhileWaiting() async throws {
        let bench = Bench(InMemoryStore())
        let (gates, loads) = ([Gate(), Gate(), Gate.opened, Gate.opened], Counter())
        let value = bench.cache.cached("value", ttl: .seconds(60)) {
            let number = loads.increment()
            try await gates[number - 1].pass()
            return number
        }
        let first = Task { try await value() }
        try await gates[0].arrival()
        let early = Task { try await value.refresh() }
        await settle()
        try await value.invalidate()
        let second = Task { try await value() }
        try await gates[1].arrival()
        gates[0].open()
        #expect(try await first.value == 1)
        await settle()
        let late = Task { try await value.refresh() }
        await settle()
        gates[1].open()
        #expect(try await second.value == 2)
        #expect(try await early.value >= 2)
        #expect(try await late.value > 2)
    }

    @Test("without a lease leaves no older load to be stored after it")
    func olderFill() async throws {
        let raw = InMemoryStore()
        let scripted = ScriptedStore(raw)
        let bench = Bench(scripted)
        let other = Cache(store: raw, namespace: "shop", version: "7", clock: bench.clock)
        let (loads, theirs, lease) = (Counter(), Gate(), Gate())
        let value = bench.cache.cached("value", ttl: .seconds(60)) { loads.increment() }
        let elsewhere = other.cached("value", ttl: .seconds(60)) { try await loads.next(firstWaitsAt: theirs) }
        scripted.next(.add, .pauseAndTimeOut(lease))
        let refresh = Task { try await value.refresh() }
        try await lease.arrival()
        let older = Task { try await elsewhere() }
        try await theirs.arrival()
        lease.open()
        #expect(try await refresh.value == 2)
        theirs.open()
        #expect(try await older.value == 1)
        #expect(await other.drain().isComplete)
        #expect(try await value.peek() == nil)
    }

    @Test("whose removal fails while an event is being sent for the same key is not forgotten")
    func removalBesideEvent() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let (loads, event) = (Counter(), Gate())
        let value = bench.cache.cached("value", ttl: .seconds(3600)) { loads.increment() }
        #expect(try await value() == 1)
        await bench.settle()
        scripted.next(.delete, .pauseAndTimeOut(event))
        let (changes, feed) = AsyncStream<Int>.makeStream()
        let wiring = Task { try await bench.cache.invalidate(on: changes) { _ in [try .call(value)] } }
        feed.yield(1)
        try await event.arrival()
        scripted.next(.compareAndSwap, .pauseAfter(.opened))
        for _ in 1...3 { scripted.next(.compareAndSwap, .failBefore) }
        scripted.next(.delete, .failBefore)
        #expect(try await value.refresh() == 2)
        #expect(try await value.peek() == nil)
        event.open()
        wiring.cancel()
    }

    @Test("that finds nothing removes the old value though another process has taken its lease over")
    func nothingFound() async throws {
        let store = InMemoryStore()
        let bench = Bench(store)
        let ahead = ManualClock()
        ahead.set(by: .seconds(100))
        let other = Cache(store: store, namespace: "shop", version: "7", clock: ahead)
        let (mine, theirs, loads) = (Gate(), Gate(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(3600)) { () async throws -> Int? in
            if loads.increment() == 1 { return 1 }
            try await mine.pass()
            return nil
        }
        let elsewhere = other.cached("value", ttl: .seconds(3600)) { () async throws -> Int? in
            try await theirs.pass()
            return 3
        }
        #expect(try await value() == 1)
        await bench.settle()
        let refresh = Task { try await value.refresh() }
        try await mine.arrival()
        let takeover = Task { try await elsewhere.refresh() }
        try await theirs.arrival()
        mine.open()
        #expect(try await refresh.value == nil)
        #expect(try await value.peek() == nil)
        theirs.open()
        #expect(try await takeover.value == 3)
    }

    @Test("that outlasts its longest lease returns after its fill all the same")
    func pastLease() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let (gate, fill, loads, returned) = (Gate(), Gate(), Counter(), Counter())
        let policy = CachePolicy(leaseFor: .seconds(1000), longestLease: .seconds(1000))
        let value = bench.cache.cached("value", ttl: .seconds(6000), policy: policy) {
            try await loads.next(firstWaitsAt: gate)
        }
        let refresh = Task {
            defer { returned.increment() }
            return try await value.refresh()
        }
        try await gate.arrival()
        bench.clock.advance(by: .seconds(1001))
        scripted.next(.get, .pauseBefore(fill))
        gate.open()
        try await fill.arrival()
        await settle()
        #expect(returned.value == 0)
        fill.open()
        #expect(try await refresh.value == 1)
        #expect(try await value.peek() == 1)
    }

    // MARK: Loads that outlast their leases

    @Test(
        "or another load that outlasts its lease keeps it, is told of and is stored",
        arguments: [StoreKind.inMemory, .memcached], [true, false])
    func prolonged(kind: StoreKind, refreshes: Bool) async throws {
        try await kind.withStore { store async throws in
            let scripted = ScriptedStore(store)
            let bench = Bench(scripted)
            let (gate, loads) = (Gate(), Counter())
            let policy = CachePolicy(leaseFor: .seconds(300), longestLease: .seconds(1000))
            let load: @Sendable @concurrent () async throws -> Int = {
                let number = loads.increment()
                try await gate.pass()
                return number
            }
            let value = bench.cache.cached("value", ttl: .seconds(6000), policy: policy, load: load)
            let elsewhere = bench.otherProcess().cached("value", ttl: .seconds(6000), policy: policy, load: load)
            let caller = Task { try await refreshes ? value.refresh() : value() }
            try await gate.arrival()
            // At three quarters of what it holds its process prolongs it.
            for (time, swaps) in [(225, 1), (300, 2), (300, 3)] {
                try await eventually { bench.clock.sleeping > 0 }
                bench.clock.advance(by: .seconds(time))
                try await eventually { scripted.count(.compareAndSwap) == swaps }
                // Until the answer has come and the next one is scheduled.
                _ = try await store.get(value.key())
                await settle()
            }
            #expect(bench.statistics.snapshot.overruns == 1)
            // Longer than two of its leases.
            let waiting = Task { try await elsewhere() }
            try await eventually { bench.clock.pausing == 1 }
            gate.open()
            #expect(try await caller.value == 1)
            await bench.settle()
            bench.clock.advance(by: .seconds(1))
            #expect(try await waiting.value == 1)
            #expect(loads.value == 1)
            #expect(bench.statistics.snapshot.fills == 1)
        }
    }

    @Test("or another load keeps a lease no longer than the longest")
    func longest() async throws {
        let bench = Bench(InMemoryStore())
        let (never, loads) = (Gate(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(6000), leaseFor: .seconds(100)) {
            try await loads.next(firstWaitsAt: never)
        }
        let stuck = Task { try await value() }
        try await never.arrival()
        let heir = bench.otherProcess().cached("value", ttl: .seconds(6000), leaseFor: .seconds(100)) { 2 }
        let began = bench.clock.elapsed
        let waiting = Task { try await heir() }
        let answered = Counter()
        Task {
            _ = try await waiting.value
            answered.increment()
        }
        try await eventually {
            if answered.value == 0, bench.clock.pausing > 0 { bench.clock.advance(by: .milliseconds(500)) }
            return answered.value == 1
        }
        #expect(try await waiting.value == 2)
        #expect(bench.clock.elapsed - began > .seconds(199))
        #expect(bench.clock.elapsed - began < .seconds(205))
        never.open()
        #expect(try await stuck.value == 1)
    }
}
