#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import Synchronization

/// Sees to it, from a thread of its own, that no call waits for longer than its time, whatever keeps the thread that
/// has it: the queue, the server, the C library or another caller's task.
///
/// It looks every two milliseconds while there is anything to see, and sleeps when there was nothing for twenty.
final class Timekeeper: Sendable {
    private static let microsecondsBetweenLooks: UInt32 = 2000
    /// For how long a task may keep a thread, in nanoseconds, before another thread takes over: two looks.
    static let longestTurn = UInt64(microsecondsBetweenLooks) * 2 * 1000

    private static let quietLooksBeforeSleep = 10

    private let lock = ConditionLock()
    private let isAsleep = Atomic(false)
    /// Workers that it has not looked after yet.
    private let newcomers: Mutex<[any Worker]>

    /// - Parameter workers: whom to look after from the beginning. There is at least one by the time that it runs.
    init(_ workers: [any Worker] = []) { newcomers = Mutex(workers) }

    /// Looks after some more workers.
    func add(_ workers: [any Worker]) {
        newcomers.withLock { $0 += workers }
        wake()
    }

    /// Whether it sleeps, or is about to.
    var sleeps: Bool { isAsleep.load(ordering: .sequentiallyConsistent) }

    /// Wakes it if it sleeps: a worker has begun with something, or has ended.
    ///
    /// The worker shows that before it comes here; the timekeeper says that it will sleep before it looks for the last
    /// time. One of them sees the other.
    func wake() {
        guard sleeps else { return }
        lock.locked { isAsleep.store(false, ordering: .relaxed) }
        lock.signal()
    }

    /// Looks after the workers until all have ended.
    ///
    /// - Parameter operationTimeout: how long a call may take, in nanoseconds.
    func run(operationTimeout: UInt64) {
        var rounds = Rounds(operationTimeout: operationTimeout)
        var quietLooks = 0
        while true {
            rounds.look(after: newcomers.withLock { exchange(&$0, with: []) })
            if rounds.areOver { return }
            usleep(Self.microsecondsBetweenLooks)
            quietLooks = rounds.look(at: Ticks.coarse) ? quietLooks + 1 : 0
            if quietLooks == Self.quietLooksBeforeSleep {
                isAsleep.store(true, ordering: .sequentiallyConsistent)
                if rounds.look(at: Ticks.coarse), !rounds.areOver, newcomers.withLock(\.isEmpty) {
                    lock.locked { while isAsleep.load(ordering: .relaxed) { lock.wait() } }
                } else {
                    isAsleep.store(false, ordering: .relaxed)
                }
                quietLooks = 0
            }
        }
    }

    /// What it has seen of the workers.
    struct Rounds {
        private struct Post {
            var worker: any Worker
            /// `nil` before the first look.
            var seen: Shift.Stretch?
            /// Since when it has seen that.
            var since: UInt64 = 0
            /// The role was taken from its thread, and no other could be started yet.
            var isVacant = false
        }

        /// How long a call may take, in nanoseconds.
        private let operationTimeout: UInt64
        private var posts: [Post] = []

        init(operationTimeout: UInt64) { self.operationTimeout = operationTimeout }

        /// Whether all workers have ended.
        var areOver: Bool { posts.allSatisfy(\.worker.hasEnded) }

        /// Looks after some more, and no longer after those that have ended.
        mutating func look(after workers: [any Worker]) {
            guard !workers.isEmpty else { return }
            posts.removeAll(where: \.worker.hasEnded)
            posts += workers.map { Post(worker: $0) }
        }

        /// Fails the calls whose time is over, and takes the roles of threads that are kept for too long.
        ///
        /// - Returns: whether nothing has happened since the last look, and nothing is to be done.
        mutating func look(at time: UInt64) -> Bool {
            var isQuiet = true
            for index in posts.indices {
                let worker = posts[index].worker
                let stretch = worker.shift.stretch
                if stretch.work != .none || !worker.queue.isEmpty {
                    isQuiet = false
                    if time > operationTimeout { worker.expireCalls(before: time - operationTimeout) }
                }
                if stretch == posts[index].seen {
                    relieve(index, stretch, for: time - min(time, posts[index].since))
                } else {
                    isQuiet = false
                    (posts[index].seen, posts[index].since) = (stretch, time)
                }
                if posts[index].isVacant {
                    isQuiet = false
                    posts[index].isVacant = (try? posts[index].worker.start()) == nil
                }
            }
            return isQuiet
        }

        private mutating func relieve(_ index: Int, _ stretch: Shift.Stretch, for duration: UInt64) {
            let worker = posts[index].worker
            switch stretch.work {
            case .none: return
            case .tasks:
                // It was at the same at the last look.
                guard worker.shift.end(stretch) else { return }
                worker.leaveTasks()
            case .library:
                // It ends by itself as a rule, soon after the operation timeout.
                guard duration > operationTimeout * 3 / 2, worker.stuck.noteStuck() else { return }
                guard worker.shift.end(stretch) else { return worker.stuck.noteReturn() }
                posts[index].worker = worker.successor()
                posts[index].seen = nil
            }
            posts[index].isVacant = true
        }
    }
}
