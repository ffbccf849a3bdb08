package import MintCache
import Synchronization

/// A clock that stands still until it is told to go on.
package final class ManualClock: CacheClock {
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
    package init(advancesInSleep: Bool = false) {
        state = Mutex(State(now: WallTime(microseconds: 1_800_000_000_000_000)))
        self.advancesInSleep = advancesInSleep
    }

    package var now: WallTime { state.withLock { $0.now + $0.wrong } }

    package var elapsed: Duration { state.withLock { $0.now - WallTime(microseconds: 0) } }

    /// Sets the wall clock to another time. What waits is not disturbed.
    package func set(by duration: Duration) { state.withLock { $0.wrong += duration } }

    /// How many pauses have begun: sleeps of less than a second, unlike those that wait for the end of a lease.
    package var pauses: Int { state.withLock(\.pauses) }

    /// How many tasks pause.
    package var pausing: Int { state.withLock { $0.sleepers.count(where: \.isPause) } }

    /// How many tasks sleep.
    package var sleeping: Int { state.withLock(\.sleepers.count) }

    package func sleep(for duration: Duration) async throws {
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
    package func advance(by duration: Duration) {
        let awake = state.withLock { state in
            state.now = state.now + duration
            let awake = state.sleepers.filter { $0.until <= state.now }
            state.sleepers.removeAll { $0.until <= state.now }
            return awake
        }
        for sleeper in awake { sleeper.promise.resolve(.success(())) }
    }
}
