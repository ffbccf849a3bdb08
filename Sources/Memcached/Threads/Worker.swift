import MintCache
import Synchronization

/// A connection to a server, and the loop of the thread that has it: takes work from the queue, does it, and goes on
/// with the tasks that waited for it.
///
/// As a task that soon waits for the next call does so here, most calls need no other thread, and none has to be woken.
/// Tasks that are not quick are left to the global executor (``AnsweredCalls``, ``Pace``), and should one keep the
/// thread, ``Watchdog`` has another one take over.
// @unchecked: everything but the atomics belongs to the thread that has the connection. It gives that up when it
// counts `turns` up to go on with tasks, and has it again if it is the one who counts it up once more.
final class Worker: @unchecked Sendable {
    /// Counts up when a thread begins to go on with tasks, and when it is done with them or relieved.
    struct Turn: Equatable {
        fileprivate var count: UInt64

        var isWithTasks: Bool { !count.isMultiple(of: 2) }
    }

    private let queue: CallQueue
    private let connection: any ServerConnection
    private let watchdog: Watchdog
    private var batch = GetBatch()
    /// The drain of the gets that the server was asked for, while they are not answered.
    private var asked: UInt64?
    private var pace = Pace()
    /// Those whose tasks go on just now.
    private var answered: AnsweredCalls?
    private let turns = Atomic<UInt64>(0)
    /// Threads that were relieved and are still with their task. While there is one, no task can take another: there are
    /// at most two threads for a connection.
    private let relieved = Atomic(0)
    private let ended = Atomic(false)

    init(queue: CallQueue, connection: any ServerConnection, watchdog: Watchdog) {
        self.queue = queue
        self.connection = connection
        self.watchdog = watchdog
    }

    var turn: Turn { Turn(count: turns.load(ordering: .sequentiallyConsistent)) }

    /// Whether the queue was closed, all its work is done, and the connection is closed.
    var hasEnded: Bool { ended.load(ordering: .sequentiallyConsistent) }

    /// Starts a thread that works until the queue is closed and empty, or until it is relieved.
    ///
    /// - Throws: ``CacheError`` with code `storeFailure` when the system has no thread to give.
    func start() throws {
        try BlockingThread.start { self.run() }
    }

    private func run() {
        while true {
            let answered: [Call]
            if let drain = asked.take() {
                answered = answers(drain)
            } else if let (work, drain) = queue.next() {
                switch work {
                case .gets(let calls):
                    ask(calls, drain)
                    continue
                case .write(let call, let operation):
                    answered = write(call, operation, drain)
                }
            } else {
                break
            }
            guard goOn(with: answered) else { return }
        }
        connection.close()
        ended.store(true, ordering: .sequentiallyConsistent)
        watchdog.wake()
    }

    // MARK: Work

    private func ask(_ calls: [Call], _ drain: UInt64) {
        guard !calls.isEmpty else { return }
        batch.fill(calls)
        connection.ask(for: batch.keys)
        asked = drain
    }

    /// Waits for what was asked, and returns the calls, their answers prepared. What has come meanwhile is asked before
    /// their tasks go on, so that the server is busy while they do.
    private func answers(_ drain: UInt64) -> [Call] {
        do {
            let calls = batch.answer(with: try connection.items(of: batch.keys))
            if connection.isReady, let (more, drain) = queue.nextGets() { ask(more, drain) }
            return calls
        } catch {
            batch.fail(error)
            failThoseWhoWaited(error, drain)
            return []
        }
    }

    private func write(_ call: Call, _ operation: WriteOperation, _ drain: UInt64) -> [Call] {
        guard !call.isOver else { return [] }
        do {
            call.prepare(.written(try connection.write(operation)))
            return [call]
        } catch {
            call.finish(.failure(error))
            failThoseWhoWaited(error, drain)
            return []
        }
    }

    /// After a timeout: whoever waited for the server all the while would only wait for one more.
    private func failThoseWhoWaited(_ error: any Error, _ drain: UInt64) {
        if let error = error as? CacheError, error.code == .timeout { queue.fail(through: drain, error) }
    }

    // MARK: Tasks

    /// Goes on with the tasks of answered calls, here or on the global executor, and says whether this thread has the
    /// connection still.
    private func goOn(with calls: [Call]) -> Bool {
        guard let calls = AnsweredCalls.leaveAllButMostUrgent(of: calls) else { return true }
        let clock = ThreadClock.system
        guard relieved.load(ordering: .relaxed) == 0, pace.allowsNext(at: clock.time()) else {
            calls.leave()
            return true
        }
        answered = calls
        let turn = turns.add(1, ordering: .sequentiallyConsistent).newValue
        watchdog.wake()
        let slow = calls.goOn(clock)
        guard endTurn(turn) else {
            relieved.subtract(1, ordering: .relaxed)
            return false
        }
        answered = nil
        if let slow { pace.note(slow: slow, at: clock.time()) }
        return true
    }

    /// Takes the connection from a thread that is still in a turn, and leaves the tasks that wait for it to the global
    /// executor.
    ///
    /// - Returns: whether it was still in it; then the worker is to be started again.
    func relieve(in turn: Turn) -> Bool {
        // Before the turn is ended, or the thread could come back and count itself off first.
        relieved.add(1, ordering: .relaxed)
        guard endTurn(turn.count) else {
            relieved.subtract(1, ordering: .relaxed)
            return false
        }
        answered?.leave()
        answered = nil
        pace.note(slow: Watchdog.longestTurn, at: ThreadClock.system.time())
        return true
    }

    private func endTurn(_ turn: UInt64) -> Bool {
        turns.compareExchange(expected: turn, desired: turn + 1, ordering: .acquiringAndReleasing).exchanged
    }
}
