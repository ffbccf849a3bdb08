import CacheUtils
import TestSupport
import Testing

private struct LoaderFailure: Error {}

/// One load at a time for each key, and nobody waits longer than a lease: I3 and I4, each on every store.
@Suite("Leases", .timeLimit(.minutes(5)))
struct LeaseTests {
    @Test("let two processes share one cold load", arguments: StoreKind.allCases)
    func twoProcesses(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let (gate, loads) = (Gate(), Counter())
            let functions = [bench.cache, bench.otherProcess()].map { cache in
                cache.cached("value", ttl: .seconds(60)) {
                    let number = loads.increment()
                    try await gate.pass()
                    return number
                }
            }
            let first = Task { try await functions[0]() }
            try await gate.arrival()
            let second = Task { try await functions[1]() }
            try await eventually { bench.clock.pausing == 1 }
            gate.open()
            #expect(try await first.value == 1)
            bench.clock.advance(by: .seconds(1))
            #expect(try await second.value == 1)
            #expect(loads.value == 1)
        }
    }

    @Test("of a loader that died end, and the next caller takes over", arguments: StoreKind.allCases)
    func deadLoader(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let never = Gate()
            // It is prolonged no more.
            let policy = CachePolicy(leaseFor: .seconds(600), longestLease: .seconds(600))
            let dead = bench.otherProcess().cached("value", ttl: .seconds(3_600), policy: policy) {
                try await never.pass()
                return 0
            }
            let corpse = Task { try await dead() }
            try await never.arrival()
            let value = bench.cache.cached("value", ttl: .seconds(3_600), leaseFor: .seconds(600)) { 1 }
            let heir = Task { try await value() }
            try await eventually { bench.clock.pausing == 1 }
            bench.clock.advance(by: .seconds(599))
            try await eventually { bench.clock.pausing == 1 }
            #expect(bench.statistics.snapshot.loads == 0)
            bench.clock.advance(by: .seconds(1))
            #expect(try await heir.value == 1)
            #expect(try await value.peek() == 1)
            // Back from the dead, its value is nobody's but its own caller's.
            never.open()
            #expect(try await corpse.value == 0)
            #expect(try await value.peek() == 1)
        }
    }

    @Test("of a stuck loader end for its own process too: those who share it go round", arguments: StoreKind.allCases)
    func stuckLoader(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let (never, loads) = (Gate(), Counter())
            let policy = CachePolicy(leaseFor: .seconds(300))
            let value = bench.cache.cached("value", ttl: .seconds(3_600), policy: policy) {
                try await loads.next(firstWaitsAt: never)
            }
            let stuck = Task { try await value() }
            try await never.arrival()
            let others = (0..<20).map { _ in Task { try await value() } }
            try await eventually {
                bench.clock.advance(by: .seconds(60))
                return loads.value >= 2
            }
            // Who has waited for as long as a lease and comes late for the new one loads for himself.
            for task in others { #expect(try await task.value > 1) }
            let filled = try #require(try await value.peek())
            #expect(filled > 1)
            never.open()
            #expect(try await stuck.value == 1)
            #expect(try await value.peek() == filled)
        }
    }

    @Test(
        "that others take one after the other hold a caller no longer than its longest lease",
        arguments: StoreKind.allCases
    )
    func waitLimit(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let never = Gate()
            let policy = CachePolicy(leaseFor: .seconds(600), longestLease: .seconds(600))
            let value = bench.cache.cached("value", ttl: .seconds(3_600), policy: policy) { 1 }
            let elsewhere = bench.otherProcess()
            let stuck = elsewhere.cached("value", ttl: .seconds(3_600), leaseFor: .seconds(900)) {
                try await never.pass()
                return 0
            }
            let other = Task { try await stuck() }
            try await never.arrival()
            let waiting = Task { try await value() }
            try await eventually { bench.clock.pausing == 1 }
            bench.clock.advance(by: .seconds(600))
            #expect(try await waiting.value == 1)
            #expect(try await value.peek() == nil)
            never.open()
            #expect(try await other.value == 0)
            #expect(await elsewhere.drain().isComplete)
            #expect(try await value.peek() == 0)
        }
    }

    @Test(
        "are given back by a loader that failed, whose error reaches all who shared it", arguments: StoreKind.allCases)
    func failingLoader(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let (gate, loads) = (Gate(), Counter())
            let value = bench.cache.cached("value", ttl: .seconds(60)) {
                guard loads.increment() > 1 else {
                    try await gate.pass()
                    throw LoaderFailure()
                }
                return 2
            }
            let callers = (0..<20).map { _ in Task { try await value() } }
            try await gate.arrival()
            gate.open()
            var failures = 0
            for caller in callers {
                do { #expect(try await caller.value == 2) } catch is LoaderFailure { failures += 1 }
            }
            #expect(failures > 0)
            #expect(try await value() == 2)
            #expect(loads.value == 2)
            #expect(bench.clock.pauses == 0)
        }
    }

    @Test(
        "whose load ended just after they were read are not waited for", arguments: StoreKind.allCases, [true, false])
    func endedSinceRead(kind: StoreKind, succeeds: Bool) async throws {
        try await kind.withStore { store async throws in
            let stage = try await EndedSinceRead(store, succeeds: succeeds)
            stage.letLoadEnd()
            if succeeds {
                #expect(try await stage.first.value == 1)
            } else {
                await #expect(throws: LoaderFailure.self) { try await stage.first.value }
            }
            stage.scripted.resetCounts()
            stage.answer.open()
            #expect(try await stage.second.value == (succeeds ? 1 : 2))
            #expect(stage.bench.clock.pauses == 0)
            // What a failed load leaves behind goes after a second of the store's own time, in the middle of a load or
            // not.
            if succeeds { #expect(stage.scripted.roundTrips == 1) }
        }
    }

    /// A call whose read met a load that is about to end, with the answer still on its way.
    private struct EndedSinceRead {
        let scripted: ScriptedStore
        let bench: Bench
        let answer = Gate()
        let first: Task<Int, any Error>
        let second: Task<Int, any Error>
        private let gate = Gate()

        init(_ store: any CacheStore, succeeds: Bool) async throws {
            let loads = Counter()
            scripted = ScriptedStore(store)
            bench = Bench(scripted, clock: ManualClock(advancesInSleep: true))
            let value = bench.cache.cached("value", ttl: .seconds(60)) { [gate] in
                let number = try await loads.next(firstWaitsAt: gate)
                if number == 1, !succeeds { throw LoaderFailure() }
                return number
            }
            first = Task { try await value() }
            try await gate.arrival()
            scripted.next(.get, .pauseAfter(answer))
            second = Task { try await value() }
            try await answer.arrival()
        }

        func letLoadEnd() { gate.open() }
    }

    @Test("of a failed refresh end at once, and the stale value goes on being served", arguments: StoreKind.allCases)
    func failingRefresh(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let loads = Counter()
            let value = bench.cache.cached("value", ttl: .seconds(60)) {
                let number = loads.increment()
                if number == 2 { throw LoaderFailure() }
                return number
            }
            #expect(try await value() == 1)
            await bench.settle()
            bench.clock.advance(by: .seconds(61))
            #expect(try await value() == 1)
            await bench.settle()
            #expect(bench.statistics.snapshot.failedLoads == 1)
            // After a pause for its source.
            bench.clock.advance(by: .seconds(1))
            #expect(try await value() == 1)
            await bench.settle()
            for _ in 1...3 { #expect(try await value() == 3) }
            #expect(loads.value == 3)
        }
    }

    @Test("are kept by a load whose caller was cancelled; the others get its value", arguments: StoreKind.allCases)
    func cancelledCaller(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let (gate, loads) = (Gate(), Counter())
            let value = bench.cache.cached("value", ttl: .seconds(60)) {
                try await gate.pass()
                return loads.increment()
            }
            let impatient = Task { try await value() }
            try await gate.arrival()
            let patient = Task { try await value() }
            impatient.cancel()
            await #expect(throws: CancellationError.self) { try await impatient.value }
            gate.open()
            #expect(try await patient.value == 1)
            #expect(try await value.peek() == 1)
            #expect(loads.value == 1)
        }
    }

    @Test(
        "let 10,000 tasks share one cold load, grouped or not",
        arguments: [StoreKind.inMemory, .memcached, .resumedElsewhere, .proxyOfTwo], [[], ["a", "b"]])
    func tenThousand(kind: StoreKind, groups: [String]) async throws {
        try await kind.withStore { store async throws in
            let loads = Counter()
            let cache = Cache(store: store, namespace: "shop", version: "7")
            let value = cache.cached("value", ttl: .seconds(600), groups: groups) { (text: String) in
                loads.increment()
                return text
            }
            try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<10_000 { group.addTask { try await value("cold") } }
                for try await text in group { #expect(text == "cold") }
            }
            #expect(loads.value == 1)
        }
    }
}
