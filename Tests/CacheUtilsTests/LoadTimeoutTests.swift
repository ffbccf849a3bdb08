import CacheUtils
import Synchronization
import TestSupport
import Testing

@Suite("A load that takes long", .timeLimit(.minutes(5)))
struct LoadTimeoutTests {
    private let clock = ManualClock()
    private let store: ScriptedStore
    private let statistics = CacheStatistics()
    private let cache: Cache
    private let loads = Counter()
    private let gate = Gate()

    init() {
        store = ScriptedStore(InMemoryStore(clock: clock))
        cache = Cache(store: store, namespace: "s", clock: clock, observer: statistics, trapsBadOptions: false)
    }

    private func function(_ policy: CachePolicy, in other: Cache? = nil) -> CachedFunction<Int, Int> {
        (other ?? cache).cached("f", ttl: .seconds(60), policy: policy) { [loads, gate] (number: Int) in
            if number == 0 || loads.value > 0 { try await gate.pass() }
            return loads.increment()
        }
    }

    private func otherProcess() -> Cache { Cache(store: store, namespace: "s", clock: clock) }

    @Test(
        "is not waited for longer than a call may: that fails, the load goes on and is stored",
        arguments: [false, true])
    func soft(isDown: Bool) async throws {
        store.setDown(isDown)
        let value = function(CachePolicy(loadTimeout: .init(soft: .seconds(3))))
        let callers = (0..<3).map { _ in Task { try await value(0) } }
        try await gate.arrival()
        try await eventually { clock.sleeping > 0 && (isDown || store.count(.get) >= 3) }
        try await eventually {
            clock.advance(by: .milliseconds(500))
            return statistics.snapshot.timedOutCalls == 3
        }
        for caller in callers {
            let error = await #expect(throws: CacheError.self) { try await caller.value }
            #expect(error?.code == .loadTimeout)
        }
        gate.open()
        await cache.drain()
        #expect(loads.value >= 1 && (isDown || loads.value == 1))
        if !isDown { #expect(try await value(0) == 1) }
    }

    @Test("is not waited for longer than a call may, where a stale value is served then")
    func softStale() async throws {
        let value = function(
            CachePolicy(staleFor: .seconds(600), refresh: .foreground, loadTimeout: .init(soft: .seconds(3))))
        #expect(try await value(1) == 1)
        await cache.drain()
        clock.advance(by: .seconds(61))
        let caller = Task { try await value(1) }
        try await gate.arrival()
        try await eventually {
            clock.advance(by: .milliseconds(500))
            return statistics.snapshot.timedOutCalls == 1
        }
        #expect(try await caller.value == 1)
        gate.open()
        await cache.drain()
        #expect(try await value(1) == 2)
    }

    @Test("is cancelled when its time is over, and its lease given back", arguments: [false, true])
    func hard(isDown: Bool) async throws {
        store.setDown(isDown)
        let cancelled = Counter()
        let value = cache.cached("f", ttl: .seconds(60), policy: CachePolicy(loadTimeout: .init(hard: .seconds(3)))) {
            [gate] in
            try await withTaskCancellationHandler {
                try await gate.pass()
            } onCancel: {
                cancelled.increment()
            }
            return 1
        }
        let caller = Task { try await value() }
        try await gate.arrival()
        try await eventually {
            clock.advance(by: .milliseconds(500))
            return cancelled.value == 1
        }
        let error = await #expect(throws: CacheError.self) { try await caller.value }
        #expect(error?.code == .loadTimeout)
        await cache.drain()
        store.setDown(false)
        let pauses = clock.pauses
        #expect(try await otherProcess().cached("f", ttl: .seconds(60)) { 7 }() == 7)
        #expect(clock.pauses == pauses)
    }

    @Test("and does not heed its cancellation keeps nobody waiting, but its place in the load shield")
    func stubborn() async throws {
        let (stuck, other) = (Gate(), Counter())
        let policy = CachePolicy(loadTimeout: .init(hard: .seconds(3)), maximumLoads: 1)
        let cache = Cache(store: store, namespace: "s", policy: policy, clock: clock)
        let value = cache.cached("f", ttl: .seconds(60)) { (number: Int) in
            if number > 0 { return other.increment() }
            // Whoever waits in a task of its own is not cancelled with this one.
            return await Task.detached { try? await stuck.pass() }.value == nil ? 0 : 9
        }
        let caller = Task { try await value(0) }
        try await eventually { clock.sleeping > 0 }
        let ended = Counter()
        Task {
            let error = await #expect(throws: CacheError.self) { try await caller.value }
            #expect(error?.code == .loadTimeout)
            ended.increment()
        }
        try await eventually {
            clock.advance(by: .milliseconds(500))
            return ended.value == 1
        }
        let next = Task { try await value(1) }
        for _ in 0..<1000 { await Task.yield() }
        #expect(other.value == 0)
        stuck.open()
        #expect(try await next.value == 1)
        await cache.drain()
    }

    @Test("leaves an outdated value in place where the policy allows that")
    func hardStaleIfError() async throws {
        let value = function(
            CachePolicy(
                staleFor: .zero, staleIfError: .init(for: .seconds(600)), loadTimeout: .init(hard: .seconds(3))))
        #expect(try await value(1) == 1)
        await cache.drain()
        clock.advance(by: .seconds(61))
        let caller = Task { try await value(1) }
        try await gate.arrival()
        let ended = Counter()
        Task {
            let answer = try? await caller.value
            #expect(answer == 1)
            ended.increment()
        }
        try await eventually {
            clock.advance(by: .milliseconds(500))
            return ended.value == 1
        }
    }

    @Test("is bounded by durations that make sense")
    func badTimeouts() async throws {
        for timeout in [CachePolicy.LoadTimeout(soft: .zero), .init(hard: .seconds(-1))] {
            let error = await #expect(throws: CacheError.self) {
                try await function(CachePolicy(loadTimeout: timeout))(1)
            }
            #expect(error?.code == .invalidDuration)
        }
    }
}
