import CacheUtils
import TestSupport
import Testing

private struct LoaderFailure: Error {}

/// However a load ends, it leaves no lease that anybody waits for: the other half of I4.
@Suite("A load that has ended", .timeLimit(.minutes(5)))
struct EndedLoadTests {
    /// How the first load of a key ends.
    enum End: CaseIterable, Sendable {
        case stored, notCached, unencodable, tooLarge, thrown, cancelledInside, callerCancelled
        case readFails, fillFails, fillFailsAfter, fillRefused, fillTimesOut, answerLost
        case releaseRefused, leaseFails, leaseFailsAfter, leaseRefused, leaseTimesOut

        /// What goes wrong in the store.
        func happen(to store: ScriptedStore) {
            switch self {
            case .stored, .notCached, .unencodable, .thrown, .cancelledInside, .callerCancelled, .tooLarge: break
            // The first get is the call's own.
            case .readFails:
                store.next(.get, .pauseBefore(.opened))
                store.next(.get, .failBefore)
            case .fillFails: store.next(.compareAndSwap, .failBefore)
            case .fillFailsAfter: store.next(.compareAndSwap, .failAfter)
            case .fillRefused: store.next(.compareAndSwap, .refuse)
            case .fillTimesOut: store.next(.compareAndSwap, .timeOut)
            case .answerLost: store.next(.compareAndSwap, .loseAnswer)
            case .releaseRefused: for _ in 1...2 { store.next(.compareAndSwap, .refuse) }
            case .leaseFails: store.next(.add, .failBefore)
            case .leaseFailsAfter: store.next(.add, .failAfter)
            case .leaseRefused: store.next(.add, .refuse)
            case .leaseTimesOut: store.next(.add, .timeOut)
            }
        }

        /// Whether the value is there for the next call.
        var stores: Bool { [.stored, .callerCancelled, .fillFailsAfter, .answerLost].contains(self) }
    }

    /// Encodes what it is told to.
    private struct Codec: CacheCodec {
        let format = "number"
        var end: End

        func encode(_ value: Int?) throws -> [UInt8] {
            if end == .unencodable, value == 1 { throw LoaderFailure() }
            return Array(repeating: UInt8(value ?? 0), count: end == .tooLarge && value == 1 ? 2 << 20 : 1)
        }

        func decode(_ bytes: ArraySlice<UInt8>) throws -> Int? { bytes.first.map { Int($0) } }
    }

    private func function(_ cache: Cache, _ end: End, _ loads: Counter, _ gate: Gate) -> CachedFunction<Int?> {
        cache.cached("value", ttl: .seconds(60), codec: Codec(end: end)) {
            let number = loads.increment()
            guard number == 1 else { return number }
            if end == .callerCancelled { try await gate.pass() }
            switch end {
            case .thrown: throw LoaderFailure()
            case .cancelledInside: throw CancellationError()
            case .notCached: return nil
            default: return number
            }
        }
    }

    @Test("keeps nobody waiting, in its own process or another", arguments: StoreKind.allCases, End.allCases)
    func nobodyWaits(kind: StoreKind, end: End) async throws {
        try await kind.withStore { store async throws in
            // A store in memory takes larger values, unless it is small.
            let scripted = ScriptedStore(kind == .inMemory ? InMemoryStore(capacity: 1 << 20) : store)
            let bench = Bench(scripted)
            let (loads, gate) = (Counter(), Gate())
            let value = function(bench.cache, end, loads, gate)
            let elsewhere = function(bench.otherProcess(), end, loads, gate)
            end.happen(to: scripted)
            let first = Task { try await value() }
            if end == .callerCancelled {
                try await gate.arrival()
                first.cancel()
                await #expect(throws: CancellationError.self) { try await first.value }
                gate.open()
            }
            _ = try? await first.value
            // At once, whether it has been stored by now or not; but a value that is refused may be shared until it is.
            if end == .tooLarge { await bench.settle() }
            let second = try await value()
            #expect(second.map { $0 <= 2 } == true)
            await bench.settle()
            #expect(try await elsewhere() == second)
            #expect(bench.clock.pauses == 0)
            #expect(loads.value == (second == 1 ? 1 : 2))
            if end.stores { #expect(second == 1) }
        }
    }

    @Test(
        "keeps nobody in another process waiting either, by the time that its cache has settled",
        arguments: End.allCases)
    func elsewhere(end: End) async throws {
        let scripted = ScriptedStore(InMemoryStore(capacity: 1 << 20))
        let bench = Bench(scripted)
        let (loads, gate) = (Counter(), Gate.opened)
        end.happen(to: scripted)
        _ = try? await function(bench.cache, end, loads, gate)()
        await bench.settle()
        _ = try await function(bench.otherProcess(), end, loads, gate)()
        #expect(bench.clock.pauses == 0)
        #expect(loads.value == (end.stores ? 1 : 2))
    }

    @Test("while the store is away: its process takes its lease over at once, the others when the store is back")
    func outage() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let number = { (cache: Cache, loads: Counter) in
            cache.cached("number", ttl: .seconds(60)) { (number: Int) in
                loads.increment()
                return number
            }
        }
        let (gate, loads, later) = (Gate(), Counter(), Counter())
        let gated = bench.cache.cached("number", ttl: .seconds(60)) { (number: Int) in
            try await gate.pass()
            loads.increment()
            return number
        }
        // More than are remembered of those that ended well.
        let calls = (0..<600).map { number in Task { try await gated(number) } }
        try await eventually { scripted.count(.add) == 600 && bench.statistics.snapshot.loads == 600 }
        scripted.setDown(true)
        gate.open()
        for (number, call) in calls.enumerated() { #expect(try await call.value == number) }
        // All have tried to give their leases back, and wait for the next try.
        try await eventually { bench.clock.pausing >= 1 && scripted.count(.get) >= 1800 }
        scripted.setDown(false)
        let own = number(bench.cache, later)
        for key in 0..<300 { #expect(try await own(key) == key) }
        #expect(later.value == 300)
        try await eventually {
            bench.clock.advance(by: .milliseconds(50))
            return await bench.cache.drain(for: .zero).isComplete
        }
        let pauses = bench.clock.pauses
        let elsewhere = number(bench.otherProcess(), later)
        for key in 300..<600 { #expect(try await elsewhere(key) == key) }
        #expect(later.value == 600)
        #expect(bench.clock.pauses == pauses)
    }

    @Test("whose lease comes late, after the store had failed, keeps nobody waiting for longer than a second")
    func lateLease() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let (landing, landed, loads) = (Gate(), Gate(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(60)) { loads.increment() }
        scripted.next(.add, .failAndHappen(at: landing, done: landed))
        #expect(try await value() == 1)
        await bench.settle()
        landing.open()
        try await landed.pass()
        let item = try #require(try await scripted.get(value.key()))
        bench.clock.advance(by: .seconds(1))
        try await eventually { try await scripted.get(value.key())?.cas != item.cas }
        let elsewhere = bench.otherProcess().cached("value", ttl: .seconds(60)) { loads.increment() }
        #expect(try await elsewhere() == 2)
        #expect(bench.clock.pauses == 0)
    }

    @Test(
        "gives its value to its callers before it is stored, and to those who come meanwhile",
        arguments: StoreKind.allCases)
    func callerFirst(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            for step in [ScriptedStore.Operation.get, .compareAndSwap] {
                let scripted = ScriptedStore(store)
                let bench = Bench(scripted)
                let (loads, fill) = (Counter(), Gate())
                let value = bench.cache.cached("\(step)", ttl: .seconds(60)) { loads.increment() }
                if step == .get { scripted.next(.get, .pauseBefore(.opened)) }
                scripted.next(step, .pauseBefore(fill))
                #expect(try await value() == 1)
                try await fill.arrival()
                for _ in 1...3 { #expect(try await value() == 1) }
                #expect(try await value.peek() == 1)
                #expect(bench.statistics.snapshot.fills == 0)
                fill.open()
                await bench.settle()
                #expect(bench.statistics.snapshot.fills == 1)
                #expect(loads.value == 1)
                #expect(bench.clock.pauses == 0)
            }
        }
    }

    @Test("gives an error to its callers before its lease is given back")
    func errorFirst() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let (loads, release) = (Counter(), Gate())
        let value = bench.cache.cached("value", ttl: .seconds(60)) {
            guard loads.increment() > 1 else { throw LoaderFailure() }
            return loads.value
        }
        scripted.next(.compareAndSwap, .pauseBefore(release))
        await #expect(throws: LoaderFailure.self) { try await value() }
        try await release.arrival()
        // Its lease is not taken over before it is known what becomes of it.
        let second = Task { try await value() }
        try await eventually { scripted.count(.get) == 3 }
        #expect(loads.value == 1)
        release.open()
        #expect(try await second.value == 2)
        #expect(bench.clock.pauses == 0)
    }

    @Test(
        "is not taken for one whose value may be served when its key was invalidated meanwhile",
        arguments: StoreKind.allCases)
    func landedAndInvalidated(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let scripted = ScriptedStore(store)
            let bench = Bench(scripted)
            let (loads, fill) = (Counter(), Gate())
            let value = bench.cache.cached("value", ttl: .seconds(60), groups: ["g"]) { loads.increment() }
            try await bench.cache.invalidate(group: "g")
            for invalidate in [{ try await value.invalidate() }, { try await bench.cache.invalidate(group: "g") }] {
                let load = loads.value
                try await value.invalidate()
                scripted.next(.compareAndSwap, .pauseBefore(fill))
                #expect(try await value() == load + 1)
                try await fill.arrival()
                try await invalidate()
                #expect(try await value.peek() == nil)
                #expect(try await value() == load + 2)
                fill.open()
                await bench.settle()
                #expect(try await value.peek() == load + 2)
            }
        }
    }

    @Test("is waited for by a cache that is drained, and loses its lease if it takes too long")
    func drain() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let (fill, never, loads) = (Gate(), Gate(), Counter())
        let quick = bench.cache.cached("quick", ttl: .seconds(60)) { loads.increment() }
        #expect(await bench.cache.drain().isComplete)
        scripted.next(.compareAndSwap, .pauseBefore(fill))
        #expect(try await quick() == 1)
        let draining = Task { await bench.cache.drain() }
        try await fill.arrival()
        fill.open()
        #expect(await draining.value.isComplete)
        #expect(try await bench.otherProcess().cached("quick", ttl: .seconds(60)) { 9 }() == 1)

        let stuck = bench.cache.cached("stuck", ttl: .seconds(60)) {
            try await never.pass()
            return loads.increment()
        }
        let caller = Task { try await stuck() }
        try await never.arrival()
        let impatient = Task { await bench.cache.drain() }
        impatient.cancel()
        #expect(await impatient.value.hasEnded == false)
        let patient = Task { await bench.cache.drain(for: .seconds(10)) }
        let ended = Counter()
        Task {
            #expect(await patient.value.hasEnded == false)
            ended.increment()
        }
        try await eventually {
            bench.clock.advance(by: .seconds(1))
            return ended.value == 1
        }
        // Nobody else waits for it.
        let pauses = bench.clock.pauses
        let other = bench.otherProcess()
        #expect(try await other.cached("stuck", ttl: .seconds(600)) { 7 }() == 7)
        #expect(bench.clock.pauses == pauses)
        #expect(await other.drain().isComplete)
        never.open()
        #expect(try await caller.value == 2)
        await bench.settle()
        #expect(try await stuck.peek() == 7)
    }

    @Test("gives its lease back when the drain is cancelled, on a store that notices that too")
    func cancelledDrain() async throws {
        let bench = Bench(CancellableStore(base: InMemoryStore()))
        let (never, draining) = (Gate(), Gate())
        let stuck = bench.cache.cached("stuck", ttl: .seconds(60)) {
            try await never.pass()
            return 1
        }
        let caller = Task { try await stuck() }
        try await never.arrival()
        let drain = Task {
            draining.open()
            return await bench.cache.drain()
        }
        try await draining.pass()
        drain.cancel()
        #expect(await drain.value.hasEnded == false)
        #expect(try await bench.otherProcess().cached("stuck", ttl: .seconds(60)) { 2 }() == 2)
        #expect(bench.clock.pauses == 0)
        #expect(bench.statistics.snapshot.storeTroubles == 0)
        never.open()
        #expect(try await caller.value == 1)
    }

    @Test("is waited for by a drain also when it is a refresh that has not begun")
    func queuedRefresh() async throws {
        let bench = Bench(InMemoryStore())
        let (gates, loads, drained) = ([Gate(), Gate()], Counter(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(60)) {
            let number = loads.increment()
            try await gates[number - 1].pass()
            return number
        }
        let first = Task { try await value.refresh() }
        try await gates[0].arrival()
        let second = Task { try await value.refresh() }
        for _ in 0..<2000 { await Task.yield() }
        let drain = Task {
            defer { drained.increment() }
            return await bench.cache.drain()
        }
        gates[0].open()
        #expect(try await first.value == 1)
        try await gates[1].arrival()
        for _ in 0..<2000 { await Task.yield() }
        #expect(drained.value == 0)
        gates[1].open()
        #expect(try await second.value == 2)
        #expect(await drain.value.isComplete)
    }
}

/// A store that does nothing in a task that was cancelled, as one with a network does.
private struct CancellableStore: CacheStore {
    let base: InMemoryStore

    func get(_ key: StoreKey) async throws -> StoreItem? {
        try Task.checkCancellation()
        return try await base.get(key)
    }

    func get(_ keys: [StoreKey]) async throws -> [StoreItem?] {
        try Task.checkCancellation()
        return try await base.get(keys)
    }

    func set(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws {
        try Task.checkCancellation()
        try await base.set(key, value: value, expiry: expiry)
    }

    func add(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws -> StoreWrite {
        try Task.checkCancellation()
        return try await base.add(key, value: value, expiry: expiry)
    }

    func compareAndSwap(
        _ key: StoreKey, expecting cas: StoreItem.CAS, value: [UInt8], expiry: Duration?
    ) async throws -> StoreWrite {
        try Task.checkCancellation()
        return try await base.compareAndSwap(key, expecting: cas, value: value, expiry: expiry)
    }

    func delete(_ key: StoreKey) async throws -> Bool {
        try Task.checkCancellation()
        return try await base.delete(key)
    }
}
