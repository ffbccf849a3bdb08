package import MintCache
import Synchronization

/// A clock that stands still until it is told to go on.
package final class ManualClock: CacheClock {
    private struct Sleeper {
        var until: WallTime
        var promise: Promise<Void>
    }

    private struct State {
        var now: WallTime
        var sleepers: [Sleeper] = []
        var sleeps = 0
    }

    private let state: Mutex<State>
    private let advancesInSleep: Bool

    /// Makes a clock.
    ///
    /// - Parameter advancesInSleep: whether a task that sleeps moves the time on by itself, for tests in which it does
    ///   not matter how often that happens.
    package init(advancesInSleep: Bool = false) {
        state = Mutex(State(now: WallTime(microseconds: 1_800_000_000_000_000)))
        self.advancesInSleep = advancesInSleep
    }

    package var now: WallTime { state.withLock(\.now) }

    /// How many sleeps have begun.
    package var sleeps: Int { state.withLock(\.sleeps) }

    /// How many tasks sleep.
    package var sleeping: Int { state.withLock(\.sleepers.count) }

    package func sleep(for duration: Duration) async throws {
        let promise = Promise<Void>()
        state.withLock { state in
            state.sleeps += 1
            state.sleepers.append(Sleeper(until: state.now + duration, promise: promise))
        }
        if advancesInSleep {
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
