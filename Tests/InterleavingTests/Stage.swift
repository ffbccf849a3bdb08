import MintCache

/// What every actor of a schedule stands on: whatever suspends, suspends here, and goes on when the schedule says so.
///
/// All of it happens on one thread, the one that drains the ``DeterministicExecutor``.
final class Stage: @unchecked Sendable {
    /// Something that waits to be let go on.
    struct Pending {
        var what: String
        /// The process that it belongs to; those of a dead one never go on.
        var process: Int
        var resume: () -> Void
    }

    private struct Sleeper {
        var until: WallTime
        var process: Int
        var continuation: UnsafeContinuation<Void, any Error>
    }

    var choices: Choices
    private(set) var log: [String] = []
    private(set) var pending: [Pending] = []
    private var sleepers: [Int: Sleeper] = [:]
    private var nextSleeper = 0
    private(set) var now = WallTime(microseconds: 1_800_000_000_000_000)
    private(set) var dead: Set<Int> = []
    /// What was found to be wrong.
    var violations: [String] = []
    /// From here on everything goes well, so that it can end.
    var isCalm = false
    /// The store does all that it is asked, and loses nothing.
    var isReliable = false

    init(_ choices: Choices) { self.choices = choices }

    func note(_ text: String) {
        let time = Double((now.microseconds - 1_800_000_000_000_000) / 1000) / 1000
        log.append("\(time) s: \(text)")
    }

    /// How many store operations of each process have failed.
    private(set) var failures: [Int: Int] = [:]

    func noteFailure(in process: Int) { failures[process, default: 0] += 1 }

    /// Suspends until the schedule lets it go on.
    func wait(_ what: String, process: Int) async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            pending.append(Pending(what: what, process: process) { continuation.resume() })
        }
    }

    // MARK: The clock

    func sleep(for duration: Duration, process: Int) async throws {
        let number = nextSleeper
        nextSleeper += 1
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                if Task.isCancelled { return continuation.resume(throwing: CancellationError()) }
                sleepers[number] = Sleeper(until: now + duration, process: process, continuation: continuation)
            }
        } onCancel: {
            sleepers.removeValue(forKey: number)?.continuation.resume(throwing: CancellationError())
        }
    }

    func advance(by duration: Duration) {
        now = now + duration
        for (number, sleeper) in sleepers.sorted(by: { $0.key < $1.key }) where sleeper.until <= now {
            sleepers[number] = nil
            guard !dead.contains(sleeper.process) else { continue }
            sleeper.continuation.resume()
        }
    }

    /// The time until the first of those that sleep wakes; `nil` when nobody does.
    var untilNextWake: Duration? {
        sleepers.values.filter { !dead.contains($0.process) }.map(\.until).min().map { $0 - now }
    }

    // MARK: The schedule

    /// Lets one of those that wait go on, and says whether there was one.
    func letOneGoOn() -> Bool {
        let able = pending.indices.filter { !dead.contains(pending[$0].process) }
        guard !able.isEmpty else { return false }
        let chosen = pending.remove(at: able[isCalm ? 0 : choices.choose(able.count)])
        note("p\(chosen.process) \(chosen.what)")
        chosen.resume()
        return true
    }

    func kill(_ process: Int) {
        dead.insert(process)
        note("p\(process) is killed")
    }
}

/// The clock of one process, which may be wrong.
struct StageClock: CacheClock {
    let stage: Stage
    let process: Int
    let skew: Duration

    var now: WallTime { stage.now + skew }

    var elapsed: Duration { stage.now - WallTime(microseconds: 0) }

    func sleep(for duration: Duration) async throws { try await stage.sleep(for: duration, process: process) }
}
