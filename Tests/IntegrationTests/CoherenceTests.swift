import CacheUtils
import TestSupport
import Testing

private struct LoaderFailure: Error {}

/// A value never comes back after it was invalidated: I1 and I2, each on every store.
@Suite("An invalidated value never comes back", .timeLimit(.minutes(2)))
struct CoherenceTests {
    /// What is done to a value while it is being loaded.
    enum Event: CaseIterable, Sendable {
        case invalidate, invalidateElsewhere, invalidateGroup, invalidateGroupElsewhere, evict, evictGroup

        func happen(to function: CachedFunction<Int>, in bench: Bench) async throws {
            switch self {
            case .invalidate: try await function.invalidate()
            case .invalidateElsewhere:
                try await bench.otherProcess().cached("value", ttl: .seconds(1)) { 0 }.invalidate()
            case .invalidateGroup: try await bench.cache.invalidate(group: "b")
            case .invalidateGroupElsewhere: try await bench.otherProcess().invalidate(group: "b")
            case .evict: _ = try await bench.store.delete(function.key())
            case .evictGroup: _ = try await bench.store.delete(StoreKey("shop:7:@b"))
            }
        }
    }

    /// A function whose first load waits at a gate; its values are the numbers of its loads.
    private func gated(_ bench: Bench, _ gate: Gate, _ loads: Counter) -> CachedFunction<Int> {
        bench.cache.cached("value", ttl: .seconds(60), groups: ["a", "b", "c"]) {
            let number = loads.increment()
            if number == 1 { try await gate.pass() }
            return number
        }
    }

    @Test(
        "when it goes while it is loaded: later calls load again, and neither join nor find it",
        arguments: StoreKind.allCases, Event.allCases)
    func duringTheLoad(kind: StoreKind, event: Event) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let (gate, loads) = (Gate(), Counter())
            let value = gated(bench, gate, loads)
            let early = Task { try await value() }
            try await gate.arrival()
            try await event.happen(to: value, in: bench)
            // The first load is still in flight, and this call must not share it.
            #expect(try await value() == 2)
            gate.open()
            #expect(try await early.value == 1)
            #expect(try await value() == 2)
            #expect(try await value.peek() == 2)
            #expect(loads.value == 2)
        }
    }

    @Test("when it goes between the two steps of the fill", arguments: StoreKind.allCases, Event.allCases)
    func duringTheFill(kind: StoreKind, event: Event) async throws {
        try await kind.withStore { store async throws in
            let scripted = ScriptedStore(store)
            let bench = Bench(scripted)
            let (gate, loads) = (Gate(), Counter())
            let value = bench.cache.cached("value", ttl: .seconds(60), groups: ["a", "b", "c"]) { loads.increment() }
            scripted.next(.compareAndSwap, .pauseBefore(gate))
            let early = Task { try await value() }
            try await gate.arrival()
            try await event.happen(to: value, in: bench)
            gate.open()
            #expect(try await early.value == 1)
            #expect(try await value.peek() == nil)
            #expect(try await value() == 2)
        }
    }

    @Test("when it goes while the lease is being taken", arguments: StoreKind.allCases, Event.allCases)
    func duringTheLease(kind: StoreKind, event: Event) async throws {
        try await kind.withStore { store async throws in
            let scripted = ScriptedStore(store)
            let bench = Bench(scripted)
            let (gate, loads) = (Gate(), Counter())
            let value = bench.cache.cached("value", ttl: .seconds(60), groups: ["a", "b", "c"]) { loads.increment() }
            for group in ["a", "b", "c"] { try await bench.cache.invalidate(group: group) }
            scripted.next(.add, .pauseAfter(gate))
            let early = Task { try await value() }
            try await gate.arrival()
            try await event.happen(to: value, in: bench)
            gate.open()
            _ = try await early.value
            #expect(try await value.peek() == nil)
            #expect(try await value() == 2)
            #expect(try await value() == 2)
        }
    }

    @Test("when the store failed to say whether the lease was taken", arguments: StoreKind.allCases)
    func ambiguousLease(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let scripted = ScriptedStore(store)
            let bench = Bench(scripted)
            let (gate, loads) = (Gate(), Counter())
            let value = bench.cache.cached("value", ttl: .seconds(60)) {
                let number = loads.increment()
                if number == 1 { try await gate.pass() }
                return number
            }
            scripted.next(.add, .failAfter)
            let early = Task { try await value() }
            try await gate.arrival()
            try await value.invalidate()
            gate.open()
            #expect(try await early.value == 1)
            #expect(try await value.peek() == nil)
            // Nobody waits for the lease that nobody holds.
            #expect(try await value() == 2)
            #expect(bench.clock.sleeps == 0)
        }
    }

    @Test("when its generation key was evicted after it was stored", arguments: StoreKind.allCases)
    func evictedGeneration(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let city = bench.city()
            _ = try await city("paris")
            try await bench.cache.invalidate(group: "cities")
            _ = try await store.delete(StoreKey("shop:7:@cities"))
            #expect(try await city.peek("paris") == nil)
            _ = try await city("paris")
            #expect(await bench.database.queries == 2)
            // Garbage under the generation key is as good as none.
            try await store.set(StoreKey("shop:7:@cities"), to: [1, 2, 3], expiry: nil)
            #expect(try await city.peek("paris") == nil)
            _ = try await city("paris")
            #expect(await bench.database.queries == 3)
            _ = try await city("paris")
            #expect(await bench.database.queries == 3)
        }
    }

    @Test("when it was claimed, and the refresh found nothing", arguments: StoreKind.allCases)
    func refreshedToNothing(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            await bench.database.update("atlantis", population: 1)
            let find = bench.cache.cached("find", ttl: .seconds(60), refresh: .foreground) { (slug: String) in
                slug == "atlantis" && bench.clock.now.microseconds > 1_800_000_030_000_000
                    ? nil : await bench.database.find(slug)
            }
            #expect(try await find("atlantis") != nil)
            bench.clock.advance(by: .seconds(61))
            #expect(try await find("atlantis") == nil)
            #expect(try await find.peek("atlantis") == nil)
        }
    }
}

/// One load at a time for each key, and nobody waits longer than a lease: I3 and I4, each on every store.
@Suite("Leases", .timeLimit(.minutes(2)))
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
            try await eventually { bench.clock.sleeping == 1 }
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
            let dead = bench.otherProcess().cached("value", ttl: .seconds(60), leaseFor: .seconds(10)) {
                try await never.pass()
                return 0
            }
            let corpse = Task { try await dead() }
            try await never.arrival()
            let value = bench.cache.cached("value", ttl: .seconds(60), leaseFor: .seconds(10)) { 1 }
            let heir = Task { try await value() }
            try await eventually { bench.clock.sleeping == 1 }
            bench.clock.advance(by: .seconds(9))
            try await eventually { bench.clock.sleeping == 1 }
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

    @Test(
        "that others take one after the other do not hold a caller longer than one lease", arguments: StoreKind.allCases
    )
    func waitLimit(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let never = Gate()
            let value = bench.cache.cached("value", ttl: .seconds(60), leaseFor: .seconds(10)) { 1 }
            let stuck = bench.otherProcess().cached("value", ttl: .seconds(60), leaseFor: .seconds(15)) {
                try await never.pass()
                return 0
            }
            let other = Task { try await stuck() }
            try await never.arrival()
            let waiting = Task { try await value() }
            try await eventually { bench.clock.sleeping == 1 }
            bench.clock.advance(by: .seconds(10))
            #expect(try await waiting.value == 1)
            #expect(try await value.peek() == nil)
            never.open()
            #expect(try await other.value == 0)
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
            #expect(bench.clock.sleeps == 0)
        }
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
            bench.clock.advance(by: .seconds(61))
            #expect(try await value() == 1)
            try await eventually { bench.statistics.snapshot.failedLoads == 1 }
            try await eventually { try await value() == 3 }
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

    @Test("are taken over by a refresh, which never shares a load that began before it", arguments: StoreKind.allCases)
    func refresh(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let (gate, loads) = (Gate(), Counter())
            let value = bench.cache.cached("value", ttl: .seconds(60)) {
                let number = loads.increment()
                if number == 1 { try await gate.pass() }
                return number
            }
            let early = Task { try await value() }
            try await gate.arrival()
            #expect(try await value.refresh() == 2)
            gate.open()
            #expect(try await early.value == 1)
            #expect(try await value() == 2)
        }
    }

    @Test("let 10,000 tasks share one cold load, grouped or not", arguments: StoreKind.allCases, [[], ["a", "b"]])
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
