import CacheUtils
import Synchronization
import TestSupport
import Testing

/// A source that is down keeps what was cached; one that says "not found" does not.
@Suite("After an error", .timeLimit(.minutes(5)))
struct StaleIfErrorTests {
    private struct Down: Error {}
    private struct NotFound: Error {}

    private final class Source: Sendable {
        private let state = Mutex<(error: (any Error)?, reported: (any Error)?, loads: Int)>((nil, nil, 0))

        var loads: Int { state.withLock(\.loads) }

        func set(_ error: (any Error)?) { state.withLock { $0.error = error } }
        func setReported(_ error: (any Error)?) { state.withLock { $0.reported = error } }

        func load() throws -> Int {
            let (error, reported, loads) = state.withLock { state in
                state.loads += 1
                return state
            }
            if let error { throw error }
            if let reported {
                CacheLoad.reportFailure(reported)
                return -1
            }
            return loads
        }
    }

    private let clock = ManualClock()
    private let store: InMemoryStore
    private let source = Source()
    private let statistics = CacheStatistics()
    private let cache: Cache

    init() {
        store = InMemoryStore(clock: clock)
        cache = Cache(store: store, namespace: "s", clock: clock, observer: statistics)
    }

    private static let policy = CachePolicy(
        staleFor: .seconds(10), staleIfError: .init(for: .seconds(3600)) { $0 is Down })

    private func function(in other: Cache? = nil, _ policy: CachePolicy = Self.policy) -> CachedFunction<Int, Int> {
        (other ?? cache).cached("f", ttl: .seconds(60), groups: ["g"], policy: policy) { [source] (_: Int) in
            try source.load()
        }
    }

    private func otherProcess() -> Cache { Cache(store: store, namespace: "s", clock: clock) }

    /// Something is cached that is too old to be served otherwise.
    private func outdated() async throws -> CachedFunction<Int, Int> {
        let value = function()
        try await cacheOne(value, then: .seconds(100))
        return value
    }

    /// Has the function's first result cached, and a time pass.
    private func cacheOne(
        _ value: CachedFunction<Int, Int>, in other: Cache? = nil, then age: Duration
    ) async throws {
        #expect(try await value(1) == 1)
        await (other ?? cache).drain()
        clock.advance(by: age)
    }

    @Test(
        "that the rule names a value is served that is older than staleFor allows, and the source is tried after pauses"
    )
    func served() async throws {
        let value = try await outdated()
        source.set(Down())
        let elsewhere = function(in: otherProcess())
        for _ in 1...5 { #expect(try await value(1) == 1) }
        await cache.drain()
        // The pause is the fleet's.
        for _ in 1...5 { #expect(try await elsewhere(1) == 1) }
        #expect(source.loads == 2)
        clock.advance(by: .seconds(2))
        #expect(try await elsewhere(1) == 1)
        #expect(source.loads == 3)
        source.set(nil)
        clock.advance(by: .seconds(2))
        #expect(try await value(1) == 4)
        await cache.drain()
        #expect(try await elsewhere(1) == 4)
    }

    @Test("is what a call gets that has nothing to be served, or what is too old for that as well")
    func tooOld() async throws {
        let value = try await outdated()
        source.set(Down())
        await #expect(throws: Down.self) { try await value(2) }
        clock.advance(by: .seconds(3600))
        await #expect(throws: Down.self) { try await value(1) }
    }

    @Test("that the rule does not name the value is replaced: it is not served any more")
    func replaced() async throws {
        let value = try await outdated()
        source.set(NotFound())
        await #expect(throws: NotFound.self) { try await value(1) }
        await cache.drain()
        source.set(Down())
        await #expect(throws: Down.self) { try await value(1) }
        #expect(try await value.peek(1) == nil)
    }

    @Test("that the rule does not name, of a background refresh, too")
    func replacedInBackground() async throws {
        let value = function()
        try await cacheOne(value, then: .seconds(65))
        source.set(NotFound())
        #expect(try await value(1) == 1)
        await cache.drain()
        await #expect(throws: NotFound.self) { try await value(1) }
    }

    @Test("that the rule does not name is shared with the calls after it, where errors are")
    func replacedAndShared() async throws {
        let value = function(
            CachePolicy(
                staleFor: .seconds(10), errorSharing: .init(for: .seconds(5)),
                staleIfError: .init(for: .seconds(3600)) { $0 is Down }))
        try await cacheOne(value, then: .seconds(100))
        source.set(NotFound())
        await #expect(throws: NotFound.self) { try await value(1) }
        await cache.drain()
        let error = await #expect(throws: CacheError.self) { try await value(1) }
        #expect(error?.code == .recentFailure && error?.underlying is NotFound)
        #expect(source.loads == 2)
    }

    @Test("that a load reports which another load asks for is not the other one's")
    func reportedWithin() async throws {
        let down = ScriptedStore(store)
        down.setDown(true)
        let inner = function(in: Cache(store: down, namespace: "t", clock: clock))
        source.setReported(Down())
        let outer = cache.cached("outer", ttl: .seconds(60)) { try await inner(1) }
        #expect(try await outer() == -1)
        await cache.drain()
        #expect(try await outer.peek() == -1)
    }

    @Test("an invalidated value is not served, whatever the error")
    func invalidated() async throws {
        let value = try await outdated()
        source.set(Down())
        #expect(try await value(1) == 1)
        try await cache.invalidate(group: "g")
        await #expect(throws: Down.self) { try await value(1) }
    }

    @Test("all who share the load are served the value")
    func shared() async throws {
        let gate = Gate()
        let value = cache.cached("f", ttl: .seconds(60), groups: ["g"], policy: Self.policy) { [source] (_: Int) in
            if source.loads > 0 { try await gate.pass() }
            return try source.load()
        }
        try await cacheOne(value, then: .seconds(100))
        source.set(Down())
        let callers = (0..<10).map { _ in Task { try await value(1) } }
        try await gate.arrival()
        gate.open()
        for caller in callers { #expect(try await caller.value == 1) }
        #expect(source.loads == 2)
    }

    @Test("that the loader reports in place of throwing it what it returns is used and not stored")
    func reported() async throws {
        let value = function()
        source.setReported(Down())
        #expect(try await value(1) == -1)
        await cache.drain()
        #expect(try await value.peek(1) == nil)
        source.setReported(nil)
        #expect(try await value(1) == 2)
        await cache.drain()
        clock.advance(by: .seconds(100))
        source.setReported(Down())
        #expect(try await value(1) == 2)
        source.setReported(NotFound())
        clock.advance(by: .seconds(2))
        #expect(try await value(1) == -1)
    }

    @Test("without a rule of a refresh the fleet pauses, and a refresh that is asked for does not wait for that")
    func fleetPause() async throws {
        let policy = CachePolicy(staleFor: .seconds(60), failurePause: .init(first: .seconds(2), longest: .seconds(8)))
        let there = CacheStatistics()
        let other = Cache(store: store, namespace: "s", clock: clock, observer: there)
        let (value, elsewhere) = (function(policy), function(in: other, policy))
        try await cacheOne(value, then: .seconds(61))
        source.set(Down())
        #expect(try await value(1) == 1)
        await cache.drain()
        #expect(source.loads == 2)
        for _ in 1...20 { #expect(try await elsewhere(1) == 1) }
        #expect(source.loads == 2 && there.snapshot.pausedRefreshes == 20)
        source.set(nil)
        let pauses = clock.pauses
        #expect(try await elsewhere.refresh(1) == 3)
        #expect(clock.pauses == pauses)
        #expect(try await value(1) == 3)
    }

    @Test("nobody waits for the end of a pause when the value cannot be served any more")
    func pauseEnds() async throws {
        let policy = CachePolicy(staleFor: .seconds(1), failurePause: .init(first: .seconds(30), longest: .seconds(30)))
        let (value, elsewhere) = (function(policy), function(in: otherProcess(), policy))
        try await cacheOne(value, then: .milliseconds(60_500))
        source.set(Down())
        try await cacheOne(value, then: .seconds(1))
        source.set(nil)
        let pauses = clock.pauses
        #expect(try await elsewhere(1) == 3)
        #expect(clock.pauses == pauses)
    }

    @Test("nobody waits for the end of a pause who cannot read the value")
    func pauseOfAnotherFormat() async throws {
        let policy = CachePolicy(
            staleFor: .seconds(60), failurePause: .init(first: .seconds(30), longest: .seconds(30)))
        let value = function(policy)
        try await cacheOne(value, then: .seconds(61))
        source.set(Down())
        #expect(try await value(1) == 1)
        await cache.drain()
        let pauses = clock.pauses
        let text = otherProcess().cached("f", ttl: .seconds(60), groups: ["g"]) { (number: Int) in "\(number)" }
        #expect(try await text(1) == "1")
        #expect(clock.pauses == pauses)
    }

    @Test("a call that began after an invalidation is not served the value by one that began before it")
    func joined() async throws {
        let scripted = ScriptedStore(store)
        let there = Cache(store: scripted, namespace: "s", clock: clock)
        let value = function(in: there)
        try await cacheOne(value, in: there, then: .seconds(100))
        source.set(Down())
        let gate = Gate()
        scripted.next(.compareAndSwap, .pauseAfter(gate))
        let early = Task { try await value(1) }
        try await gate.arrival()
        try await function().invalidate(1)
        let gets = scripted.count(.get)
        let late = Task { try await value(1) }
        try await eventually { scripted.count(.get) > gets }
        for _ in 0..<500 { await Task.yield() }
        gate.open()
        #expect(try await early.value == 1)
        await #expect(throws: Down.self) { try await late.value }
    }

    @Test("a refresh that is asked for throws it")
    func refreshed() async throws {
        let value = try await outdated()
        source.set(Down())
        await #expect(throws: Down.self) { try await value.refresh(1) }
        await cache.drain()
        #expect(try await value(1) == 1)
    }

    private func function(_ policy: CachePolicy) -> CachedFunction<Int, Int> { function(in: nil, policy) }
}
