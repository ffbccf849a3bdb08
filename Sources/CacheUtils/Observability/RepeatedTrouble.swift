import MintCache
import Synchronization

/// Which troubles of a cached function repeat for ever, and when to say so: a line a minute at most for each function
/// and kind of trouble.
final class RepeatedTrouble: Sendable {
    private struct Line: Hashable {
        var function: String
        var trouble: String
    }

    private struct State {
        /// Hashes of the first keys that had this trouble in this minute.
        var sample: Set<Int> = []
        var sampleBegan: Duration
        var count = 0
        var lastSaid: Duration?
    }

    private static let interval = Duration.seconds(60)
    private static let sampleSize = 64
    private static let most = 1000

    private let clock: any CacheClock
    private let states = Mutex<[Line: State]>([:])

    init(clock: any CacheClock) { self.clock = clock }

    /// Notes a trouble.
    ///
    /// - Parameter isOnceEnough: whether it is worth saying at once; else when it comes for a key again.
    /// - Returns: how often it came since it was last said, if it is to be said now.
    func note(_ trouble: String, _ event: CacheEvent, isOnceEnough: Bool) -> Int? {
        let now = clock.elapsed
        return states.withLock { states in
            let line = Line(function: event.function, trouble: trouble)
            guard states[line] != nil || states.count < Self.most else { return nil }
            var state = states[line] ?? State(sampleBegan: now)
            defer { states[line] = state }
            if now - state.sampleBegan >= Self.interval {
                state.sample = []
                state.sampleBegan = now
            }
            state.count += 1
            let hash = event.key.hashValue
            let isRepeated = state.sample.contains(hash)
            if state.sample.count < Self.sampleSize { state.sample.insert(hash) }
            guard isOnceEnough || isRepeated else { return nil }
            if let last = state.lastSaid, now - last < Self.interval { return nil }
            state.lastSaid = now
            defer { state.count = 0 }
            return state.count
        }
    }
}
