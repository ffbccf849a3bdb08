#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import Synchronization

/// Looks after workers from a thread of its own: when a task keeps a worker's thread, another thread takes over, so
/// that no call waits for the code of another caller for more than some milliseconds; and when the server keeps the
/// reader waiting, the gets are left to other workers.
///
/// It looks every two milliseconds while workers go on with tasks, and sleeps when they have not done so for twenty.
final class Watchdog: Sendable {
    private static let microsecondsBetweenLooks: UInt32 = 2000
    /// The nanoseconds for which a task may keep a worker's thread before the worker is relieved: at most.
    static let longestTurn = UInt64(microsecondsBetweenLooks) * 2 * 1000

    private static let quietLooksBeforeSleep = 10

    private let monitor = Monitor()
    private let isAsleep = Atomic(false)

    /// Whether it sleeps, or is about to.
    var sleeps: Bool { isAsleep.load(ordering: .sequentiallyConsistent) }

    /// Wakes it if it sleeps: a worker goes on with tasks, waits for the server, or has ended.
    ///
    /// The worker shows that before it comes here; the watchdog says that it will sleep before it looks for the last
    /// time. One of them sees the other.
    func wake() {
        guard sleeps else { return }
        monitor.locked { isAsleep.store(false, ordering: .relaxed) }
        monitor.signal()
    }

    /// Looks after workers until all have ended.
    func run(_ workers: [Worker]) {
        var rounds = WatchdogRounds(workers)
        var quietLooks = 0
        while !rounds.areOver {
            usleep(Self.microsecondsBetweenLooks)
            quietLooks = rounds.look() ? quietLooks + 1 : 0
            if quietLooks == Self.quietLooksBeforeSleep {
                isAsleep.store(true, ordering: .sequentiallyConsistent)
                if rounds.look(), !rounds.areOver {
                    monitor.locked { while isAsleep.load(ordering: .relaxed) { monitor.wait() } }
                } else {
                    isAsleep.store(false, ordering: .relaxed)
                }
                quietLooks = 0
            }
        }
    }
}

/// What a watchdog has seen of its workers.
struct WatchdogRounds {
    private let workers: [Worker]
    private var turns: [Worker.Turn]
    /// Workers whose thread a task keeps, and for which no other one could be started yet.
    private var unmanned: [Worker] = []

    init(_ workers: [Worker]) {
        self.workers = workers
        turns = workers.map(\.turn)
    }

    /// Whether all workers have ended.
    var areOver: Bool { workers.allSatisfy(\.hasEnded) }

    /// Relieves each worker that goes on with the same tasks as at the last look, and has one that has waited since
    /// then leave the gets to others.
    ///
    /// - Returns: whether nothing has happened since then, and nothing is to be done.
    mutating func look() -> Bool {
        var isQuiet = true
        for (index, worker) in workers.enumerated() {
            let turn = worker.turn
            if turn == turns[index] {
                if turn.isWithTasks {
                    if worker.relieve(in: turn) { unmanned.append(worker) }
                } else {
                    worker.resign()
                }
            }
            if turn != turns[index] || turn.isWithTasks { isQuiet = false }
            turns[index] = turn
        }
        unmanned.removeAll { (try? $0.start()) != nil }
        return isQuiet && unmanned.isEmpty
    }
}
