import CacheUtils
import TestSupport
import Testing

/// `whenAway: .serveHeld(for:)`: what this process holds is served while the store cannot be asked.
@Suite("While the store is away", .timeLimit(.minutes(5)))
struct HeldValuesTests {
    private struct Failed: Error {}

    private let clock = ManualClock()
    private let memory: InMemoryStore
    private let store: ScriptedStore
    private let statistics = CacheStatistics()
    private let loads = Counter()
    private let cache: Cache

    init() {
        memory = InMemoryStore(clock: clock)
        store = ScriptedStore(memory)
        cache = Cache(store: store, namespace: "s", clock: clock, observer: statistics, troubleLevel: nil)
    }

    private func function(
        _ whenAway: CachePolicy.WhenAway = .serveHeld(for: .seconds(10)), ttl: Duration = .seconds(60)
    ) -> CachedFunction<Int, Int> {
        cache.cached(
            "f", ttl: ttl, groups: ["g"], policy: CachePolicy(staleFor: .seconds(2), whenAway: whenAway)
        ) { [loads] (_: Int) in loads.increment() }
    }

    /// Something has been read in the store, which has gone since.
    private func readAndAway(_ value: CachedFunction<Int, Int>) async throws {
        for _ in 0..<2 {
            #expect(try await value(7) == 1)
            await cache.drain()
        }
        store.setDown(true)
    }

    @Test("a value that was read is served for so long and no longer, and the answer is told from a hit")
    func held() async throws {
        let value = function()
        try await readAndAway(value)
        clock.advance(by: .seconds(10))
        #expect(try await value(7) == 1)
        #expect(try await value.peek(7) == 1)
        #expect(statistics.snapshot.held == 2 && statistics.snapshot.hits == 1)
        clock.advance(by: .seconds(1))
        #expect(try await value(7) == 2)
        #expect(try await value(8) == 3)
    }

    @Test(
        "a value that was loaded and stored is served, and one that was invalidated meanwhile is not",
        arguments: [true, false])
    func stored(isInvalidated: Bool) async throws {
        let value = function()
        let gate = Gate()
        store.next(.compareAndSwap, .pauseAfter(gate))
        let call = Task { try await value(7) }
        #expect(try await call.value == 1)
        try await gate.arrival()
        if isInvalidated { try await value.invalidate(7) }
        gate.open()
        await cache.drain()
        store.setDown(true)
        #expect(try await value(7) == (isInvalidated ? 2 : 1))
        #expect(statistics.snapshot.hits == 0 && statistics.snapshot.held == (isInvalidated ? 0 : 1))
    }

    @Test("every call loads unless it is asked for otherwise")
    func byDefault() async throws {
        let value = function(.load)
        try await readAndAway(value)
        #expect(try await value(7) == 2)
        #expect(try await value(7) == 3)
        #expect(statistics.snapshot.held == 0)
    }

    @Test("what was loaded meanwhile is held too, so that the database does not get every call")
    func loadedMeanwhile() async throws {
        let value = function()
        store.setDown(true)
        for _ in 0..<5 { #expect(try await value(7) == 1) }
        #expect(statistics.snapshot.held == 4)
        store.setDown(false)
        // Whoever can ask the store does.
        #expect(try await value(7) == 2)
    }

    @Test("a value is not served for longer than its freshness and staleness allow")
    func outdated() async throws {
        let value = function(.serveHeld(for: .seconds(3600)))
        try await readAndAway(value)
        clock.advance(by: .seconds(61))
        #expect(try await value(7) == 1)
        clock.advance(by: .seconds(1))
        #expect(try await value(7) == 2)
    }

    enum Invalidation: CaseIterable { case key, group, failedKey, failedGroup, refresh, expiry }

    @Test("nothing is served that was invalidated here", arguments: Invalidation.allCases)
    func invalidated(_ how: Invalidation) async throws {
        let value = function()
        for _ in 0..<2 {
            _ = try await value(7)
            await cache.drain()
        }
        store.setDown([.failedKey, .failedGroup].contains(how))
        switch how {
        case .key: try await value.invalidate(7)
        case .group: try await cache.invalidate(group: "g")
        case .failedKey: await #expect(throws: (any Error).self) { try await value.invalidate(7) }
        case .failedGroup: await #expect(throws: (any Error).self) { try await cache.invalidate(group: "g") }
        case .refresh: #expect(try await value.refresh(7) == 2)
        case .expiry: try await value.expire(7)
        }
        let before = loads.value
        store.setDown(true)
        #expect(try await value(7) == before + 1)
        // Another invalidation that failed stands: nothing is held then.
        let isPending = [.failedKey, .failedGroup].contains(how)
        #expect(try await value(7) == before + (isPending ? 2 : 1))
    }

    @Test("what was read before an invalidation is not held after it, however late the answer came")
    func lateAnswer() async throws {
        let value = function()
        _ = try await value(7)
        await cache.drain()
        let gate = Gate()
        store.next(.get, .pauseAfter(gate))
        let call = Task { try await value(7) }
        try await gate.arrival()
        try await value.invalidate(7)
        gate.open()
        #expect(try await call.value == 1)
        store.setDown(true)
        #expect(try await value(7) == 2)
    }

    @Test("what a loader returns while it reports a failure is not held, nor what is not to be cached")
    func notHeld() async throws {
        let policy = CachePolicy(whenAway: .serveHeld(for: .seconds(10)))
        let failing = cache.cached("failing", ttl: .seconds(60), policy: policy) { [loads] in
            CacheLoad.reportFailure(Failed())
            return loads.increment()
        }
        let nothing = cache.cached("nothing", ttl: .seconds(60), policy: policy) { [loads] () -> Int? in
            loads.increment()
            return nil
        }
        store.setDown(true)
        for number in 1...2 { #expect(try await failing() == number) }
        for _ in 1...2 { #expect(try await nothing() == nil) }
        #expect(loads.value == 4 && statistics.snapshot.held == 0)
    }

    @Test("nothing is held that was loaded in the window of an invalidation")
    func settling() async throws {
        let value = function(.serveHeld(for: .seconds(60)))
        _ = try await value(7)
        await cache.drain()
        try await value.invalidate(7, settlingFor: .seconds(5))
        store.setDown(true)
        for number in 2...3 { #expect(try await value(7) == number) }
        clock.advance(by: .seconds(6))
        #expect(try await value(7) == 4)
        #expect(try await value(7) == 4)
    }

    @Test("what was loaded last is held also when it could not be stored, and not what was there before")
    func failedFill() async throws {
        let value = function(.serveHeld(for: .seconds(60)))
        try await readAndAway(value)
        store.setDown(false)
        _ = try await memory.delete(value.key(7))
        store.next(.compareAndSwap, .failBefore)
        #expect(try await value(7) == 2)
        try await eventually { statistics.snapshot.storeTroubles > 0 }
        store.setDown(true)
        try await eventually { try await value.peek(7) == 2 }
    }

    @Test("a held value is served whichever step finds that the store is away")
    func laterStep() async throws {
        let value = function(.serveHeld(for: .seconds(60)))
        try await readAndAway(value)
        store.setDown(false)
        clock.advance(by: .seconds(1))
        store.next(.get, .failBefore)
        #expect(try await value(7) == 1)
        #expect(statistics.snapshot.held == 1 && loads.value == 1)
    }
}
