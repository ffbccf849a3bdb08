public import MintCache
import Synchronization

/// A clock that stands still until a test moves it on: values go stale and leases end when the test says so, and no test
/// sleeps.
///
/// ```swift
/// let clock = ManualClock()
/// let cache = Cache(store: InMemoryStore(clock: clock), namespace: "test", clock: clock)
/// …
/// clock.advance(by: .seconds(61))
/// ```
///
/// Give the same one to the cache and to its `InMemoryStore`.
public final class ManualClock: CacheClock {
    private struct Sleeper {
        var until: WallTime
        var isPause: Bool
        var promise: Promise<Void>
    }

    private struct State {
        var now: WallTime
        /// By how much the wall clock was set.
        var wrong = Duration.zero
        var sleepers: [Sleeper] = []
        var pauses = 0
    }

    private let state: Mutex<State>
    private let advancesInSleep: Bool

    /// Makes a clock.
    ///
    /// - Parameter advancesInSleep: whether a task that pauses moves the time on by itself, for tests in which it does
    ///   not matter how often that happens.
    public init(advancesInSleep: Bool = false) {
        state = Mutex(State(now: WallTime(microseconds: 1_800_000_000_000_000)))
        self.advancesInSleep = advancesInSleep
    }

    /// The wall clock.
    public var now: WallTime { state.withLock { $0.now + $0.wrong } }

    /// The clock that nobody can set.
    public var elapsed: Duration { state.withLock { $0.now - WallTime(microseconds: 0) } }

    /// Sets the wall clock to another time. What waits is not disturbed.
    public func set(by duration: Duration) { state.withLock { $0.wrong += duration } }

    /// How many pauses have begun: sleeps of less than a second, unlike those that wait for the end of a lease.
    package var pauses: Int { state.withLock(\.pauses) }

    /// How many tasks pause.
    package var pausing: Int { state.withLock { $0.sleepers.count(where: \.isPause) } }

    /// How many tasks sleep.
    public var sleeping: Int { state.withLock(\.sleepers.count) }

    /// Returns when the time was moved on by as much.
    ///
    /// - Throws: `CancellationError` as soon as the task is cancelled.
    public func sleep(for duration: Duration) async throws {
        let promise = Promise<Void>()
        let isPause = duration < .seconds(1)
        state.withLock { state in
            if isPause { state.pauses += 1 }
            state.sleepers.append(Sleeper(until: state.now + duration, isPause: isPause, promise: promise))
        }
        if advancesInSleep, isPause {
            await Task.yield()
            advance(by: duration)
        }
        try await promise.value()
    }

    /// Moves the time on and wakes whoever has slept enough.
    public func advance(by duration: Duration) {
        let awake = state.withLock { state in
            state.now = state.now + duration
            let awake = state.sleepers.filter { $0.until <= state.now }
            state.sleepers.removeAll { $0.until <= state.now }
            return awake
        }
        for sleeper in awake { sleeper.promise.resolve(.success(())) }
    }
}
