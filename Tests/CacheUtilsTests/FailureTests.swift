import CacheUtils
import Synchronization
import TestSupport
import Testing

private struct SourceFailure: Error {}

@Suite("A source that fails is not hammered", .timeLimit(.minutes(5)))
struct FailureTests {
    private let clock = ManualClock()
    private let statistics = CacheStatistics()
    private let store: InMemoryStore
    private let cache: Cache
    private let attempts = Counter()
    private let failing = Switch()

    /// Whether the source fails, and how.
    private final class Switch: Sendable {
        private let error = Mutex<(any Error)?>(nil)

        func set(_ error: (any Error)?) { self.error.withLock { $0 = error } }

        func check() throws { if let error = error.withLock(\.self) { throw error } }
    }

    init() {
        store = InMemoryStore(clock: clock)
        cache = Cache(store: store, namespace: "s", clock: clock, observer: statistics, trapsBadOptions: false)
    }

    private func function(
        in cache: Cache? = nil, _ policy: CachePolicy = CachePolicy(staleFor: .seconds(3600))
    ) -> CachedFunction<Int> {
        (cache ?? self.cache).cached("f", ttl: .seconds(60), groups: ["g"], policy: policy) { [attempts, failing] in
            attempts.increment()
            try failing.check()
            return attempts.value
        }
    }

    /// Calls every millisecond for a while, as a busy server does, and says how many attempts there were.
    private func attempts(in duration: Duration, _ f: CachedFunction<Int>) async throws -> Int {
        let before = attempts.value
        for _ in 0..<Int(duration / .milliseconds(1)) {
            _ = try await f()
            await cache.drain()
            clock.advance(by: .milliseconds(1))
        }
        return attempts.value - before
    }

    @Test("while there is a stale value: pauses grow to a second, and nobody notices")
    func pauses() async throws {
        let f = function()
        #expect(try await f() == 1)
        await cache.drain()
        clock.advance(by: .seconds(61))
        failing.set(SourceFailure())
        // 5, 10, 20, …, 640 ms, then one in a second.
        #expect(try await attempts(in: .seconds(1), f) == 8)
        #expect(try await attempts(in: .seconds(10), f) <= 11)
        #expect(statistics.snapshot.pausedRefreshes > 10_000)
        failing.set(nil)
        clock.advance(by: .seconds(1))
        _ = try await f()
        await cache.drain()
        #expect(try await f() == attempts.value)
        // A load that worked begins anew.
        clock.advance(by: .seconds(61))
        failing.set(SourceFailure())
        #expect(try await attempts(in: .milliseconds(100), f) == 5)
    }

    @Test("unless it is told to be")
    func noPause() async throws {
        let f = function(CachePolicy(staleFor: .seconds(3600), failurePause: .none))
        #expect(try await f() == 1)
        await cache.drain()
        clock.advance(by: .seconds(61))
        failing.set(SourceFailure())
        #expect(try await attempts(in: .milliseconds(50), f) == 50)
    }

    @Test("but another value, an invalidation here or of its group, or a refresh ends the pause")
    func pauseEnds() async throws {
        let f = function()
        let elsewhere = function(in: Cache(store: store, namespace: "s", clock: clock))
        let ends: [() async throws -> Void] = [
            { try await f.invalidate() }, { try await self.cache.invalidate(group: "g") },
            {
                self.failing.set(nil)
                try await elsewhere.refresh()
                self.clock.advance(by: .seconds(61))
                self.failing.set(SourceFailure())
            },
            { _ = try? await f.refresh() },
        ]
        for (number, end) in ends.enumerated() {
            failing.set(nil)
            try await f.refresh()
            clock.advance(by: .seconds(61))
            failing.set(SourceFailure())
            for _ in 0..<12 {
                _ = try await f()
                await cache.drain()
                clock.advance(by: .seconds(1))
            }
            _ = try await f()
            await cache.drain()
            let paused = attempts.value
            _ = try await f()
            await cache.drain()
            #expect(attempts.value == paused)
            try await end()
            let before = number == 3 ? paused : attempts.value
            _ = try? await f()
            await cache.drain()
            #expect(attempts.value == before + 1, "\(number)")
        }
    }

    @Test("where there is no value: the error is shared only if that is asked for, and says how old it is")
    func sharing() async throws {
        failing.set(SourceFailure())
        let alone = function()
        for _ in 1...3 {
            await #expect(throws: SourceFailure.self) { try await alone() }
            await cache.drain()
        }
        #expect(attempts.value == 3)
        try await alone.invalidate()

        let f = function(CachePolicy(errorSharing: .init(for: .seconds(2))))
        await #expect(throws: SourceFailure.self) { try await f() }
        await cache.drain()
        clock.advance(by: .milliseconds(1500))
        let error = await #expect(throws: CacheError.self) { try await f() }
        #expect(error?.code == .recentFailure)
        #expect(error?.underlying is SourceFailure)
        #expect(error?.message.contains("1500 ms ago") == true)
        #expect(attempts.value == 4)
        #expect(statistics.snapshot.sharedFailures == 1)
        clock.advance(by: .milliseconds(500))
        await #expect(throws: SourceFailure.self) { try await f() }
        await cache.drain()
        #expect(attempts.value == 5)
        // An invalidation, here or elsewhere, exact or of a group.
        let other = Cache(store: store, namespace: "s", clock: clock)
        for end in [
            { try await f.invalidate() }, { try await other.invalidate(group: "g") },
            { try await self.function(in: other).invalidate() },
        ] as [() async throws -> Void] {
            try await end()
            let before = attempts.value
            await #expect(throws: SourceFailure.self) { try await f() }
            await cache.drain()
            #expect(attempts.value == before + 1)
        }
    }

    @Test(
        "a cancellation is never shared, nor is an error that the filter leaves out, nor is either followed by a pause")
    func notShared() async throws {
        let policy = CachePolicy(
            staleFor: .seconds(600), errorSharing: .init(for: .seconds(2)) { !($0 is SourceFailure) })
        let f = function(policy)
        for error in [CancellationError(), SourceFailure()] as [any Error] {
            failing.set(error)
            for _ in 1...3 {
                await #expect(throws: (any Error).self) { try await f() }
                await cache.drain()
            }
        }
        #expect(attempts.value == 6)
        #expect(statistics.snapshot.sharedFailures == 0)
        failing.set(nil)
        _ = try await f()
        await cache.drain()
        clock.advance(by: .seconds(61))
        failing.set(CancellationError())
        #expect(try await attempts(in: .milliseconds(10), f) == 10)
    }

    @Test("bad options are errors of every call")
    func badOptions() async {
        let loads = Counter()
        for (policy, advice) in [
            (CachePolicy(failurePause: .init(first: .seconds(-1))), "failurePause.first"),
            (CachePolicy(failurePause: .init(longest: .seconds(-1))), "failurePause.longest"),
            (CachePolicy(errorSharing: .init(for: .seconds(-1))), "duration of errorSharing"),
            (CachePolicy(leaseFor: .seconds(2), longestLease: .seconds(1)), "longestLease"),
        ] {
            let f = cache.cached("f", ttl: .seconds(1), policy: policy) { loads.increment() }
            let error = await #expect(throws: CacheError.self) { try await f() }
            #expect(error?.code == .invalidDuration)
            #expect(error?.message.contains(advice) == true)
        }
        #expect(loads.value == 0)
    }

    @Test("what is given beside a policy counts, and a function's policy takes the place of the cache's")
    func merging() async throws {
        let cache = Cache(
            store: store, namespace: "m", policy: CachePolicy(staleFor: .zero, refresh: .foreground), clock: clock)
        let loads = Counter()
        let inherited = cache.cached("a", ttl: .seconds(60)) { loads.increment() }
        let given = cache.cached("b", ttl: .seconds(60), staleFor: .seconds(60)) { loads.increment() }
        let own = cache.cached("c", ttl: .seconds(60), refresh: .background, policy: CachePolicy()) {
            loads.increment()
        }
        func values() async throws -> [Int] {
            let values = try await [inherited(), given(), own()]
            await cache.drain()
            return values
        }
        #expect(try await values() == [1, 2, 3])
        clock.advance(by: .seconds(61))
        // No stale value; the new one by the caller who refreshes; the old one.
        #expect(try await values() == [4, 5, 3])
    }
}
