import CacheUtils
import TestSupport
import Testing

/// A value never comes back after it was invalidated: I1 and I2, each on every store.
@Suite("An invalidated value never comes back", .timeLimit(.minutes(5)))
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
            case .evictGroup: _ = try await bench.store.delete(StoreKey("shop:@b"))
            }
        }
    }

    /// A function whose first load waits at a gate; its values are the numbers of its loads.
    private func gated(_ bench: Bench, _ gate: Gate, _ loads: Counter) -> CachedFunction<Int> {
        bench.cache.cached("value", ttl: .seconds(60), groups: ["a", "b", "c"]) {
            try await loads.next(firstWaitsAt: gate)
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
                try await loads.next(firstWaitsAt: gate)
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
            #expect(bench.clock.pauses == 0)
        }
    }

    @Test("when the lease was taken after all, long after the store had failed", arguments: StoreKind.allCases)
    func belatedLease(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let scripted = ScriptedStore(store)
            let bench = Bench(scripted, clock: ManualClock(advancesInSleep: true))
            let (gate, landing, landed, loads) = (Gate(), Gate(), Gate(), Counter())
            let value = bench.cache.cached("value", ttl: .seconds(60)) {
                try await loads.next(firstWaitsAt: gate)
            }
            scripted.next(.add, .failAndHappen(at: landing, done: landed))
            let early = Task { try await value() }
            try await gate.arrival()
            try await value.invalidate()
            landing.open()
            try await landed.pass()
            // The token of the first load stands in the store now, but that load began before the invalidation: it is
            // neither shared, though it is still in flight, nor stored.
            #expect(try await value() == 2)
            gate.open()
            #expect(try await early.value == 1)
            #expect(try await value.peek() == 2)
            #expect(try await value() == 2)
        }
    }

    @Test(
        "when a group invalidation is repeated after a broken connection: each attempt has a stamp of its own",
        arguments: StoreKind.allCases)
    func repeatedInvalidation(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let scripted = ScriptedStore(store)
            let bench = Bench(scripted)
            let loads = Counter()
            let value = bench.cache.cached("value", ttl: .seconds(60), groups: ["a"]) { loads.increment() }
            #expect(try await value() == 1)
            let gate = Gate()
            scripted.next(.set, .loseAnswer)
            scripted.next(.set, .pauseBefore(gate))
            let invalidation = Task { try await bench.cache.invalidate(group: "a") }
            try await gate.arrival()
            // The first attempt arrived. Someone caches under its stamp, and someone else invalidates that.
            #expect(try await value() == 2)
            try await bench.otherProcess().invalidate(group: "a")
            gate.open()
            try await invalidation.value
            #expect(try await value.peek() == nil)
            #expect(try await value() == 3)
        }
    }

    @Test("when its generation key was evicted after it was stored", arguments: StoreKind.allCases)
    func evictedGeneration(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let bench = Bench(store)
            let city = bench.city()
            _ = try await city("paris")
            try await bench.cache.invalidate(group: "cities")
            _ = try await store.delete(StoreKey("shop:@cities"))
            #expect(try await city.peek("paris") == nil)
            _ = try await city("paris")
            #expect(await bench.database.queries == 2)
            // Garbage under the generation key is as good as none.
            try await store.set(StoreKey("shop:@cities"), value: [1, 2, 3], expiry: nil)
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
            await bench.settle()
            bench.clock.advance(by: .seconds(61))
            #expect(try await find("atlantis") == nil)
            #expect(try await find.peek("atlantis") == nil)
        }
    }
}
