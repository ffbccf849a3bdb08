import MintCache
import Synchronization

/// The loop of a thread: takes work and a connection from the queue, does the work, and goes on with the tasks that
/// waited for it.
///
/// A worker asks on one connection before it takes the answers of another, so that server and client work at the same
/// time. As a task that soon waits for the next call does so here, most calls need no other thread, and none has to be
/// woken. Tasks that are not quick are left to the global executor (``AnsweredCalls``, ``Pace``), and should one keep
/// the thread, ``Watchdog`` has another one take over.
// @unchecked: everything but the atomics belongs to the thread that has the worker. It gives that up when it counts
// `turns` up to go on with tasks, and has it again if it is the one who counts it up once more.
final class Worker: @unchecked Sendable {
    /// Counts up when a thread begins to go on with tasks, and when it is done with them or relieved.
    struct Turn: Equatable {
        fileprivate var count: UInt64

        var isWithTasks: Bool { !count.isMultiple(of: 2) }
    }

    typealias ID = ObjectIdentifier

    private let queue: CallQueue
    private let watchdog: Watchdog
    private let clock: ThreadClock
    /// The connections on which gets are under way, in the order in which they were asked.
    private var asked: [Lane] = []
    private var share = TaskShare()
    private var pace = Pace()
    /// Those whose tasks go on just now.
    private var answered: AnsweredCalls?
    /// Whether the queue was told that this worker is going to look for work.
    private var willLook = false
    private let turns = Atomic<UInt64>(0)
    /// Threads that were relieved and are still with their task. While there is one, no task can take another: there
    /// are at most two threads for a worker.
    private let relieved = Atomic(0)
    private let ended = Atomic(false)

    init(queue: CallQueue, watchdog: Watchdog, clock: ThreadClock = .system) {
        self.queue = queue
        self.watchdog = watchdog
        self.clock = clock
    }

    var turn: Turn { Turn(count: turns.load(ordering: .sequentiallyConsistent)) }

    /// Whether the queue was closed, all its work is done, and the connections that nobody uses are closed.
    var hasEnded: Bool { ended.load(ordering: .sequentiallyConsistent) }

    /// Starts a thread that works until the queue is closed and empty, or until it is relieved.
    ///
    /// - Throws: ``CacheError`` with code `storeFailure` when the system has no thread to give.
    func start() throws {
        try BlockingThread.start { self.run() }
    }

    private func run() {
        // Processor time is counted by thread, and this is another one.
        share = TaskShare()
        while true {
            let answered: CallList
            if asked.isEmpty {
                guard let assignment = queue.next(for: ID(self)) else { break }
                guard let done = begin(assignment) else { continue }
                answered = done
            } else {
                // So that the server is busy while this worker takes its answers.
                askAhead()
                answered = answers()
            }
            guard goOn(with: answered) else { return }
        }
        while let lane = queue.takeSpare() { lane.close() }
        ended.store(true, ordering: .sequentiallyConsistent)
        watchdog.wake()
    }

    // MARK: Work

    /// Begins with some work, and returns the calls that are done, if any are.
    private func begin(_ assignment: consuming CallQueue.Assignment) -> CallList? {
        let (lane, drain) = (assignment.lane, assignment.drain)
        switch consume assignment.work {
        case .gets(let calls):
            // Should the server keep this worker waiting, the gets are to be left to others.
            watchdog.wake()
            lane.ask(calls, drain)
            asked.append(lane)
            return nil
        case .write(let call, let operation):
            let answered = write(call, operation, on: lane, drain)
            queue.giveBack(lane)
            return answered
        }
    }

    /// Looks for what has come meanwhile, and asks for it if it is enough and the server answers: a second connection
    /// to a server that answers is quickly made.
    ///
    /// - Parameters:
    ///   - lane: one that was answered. It is given back otherwise.
    ///   - inHand: how many answered calls this worker has.
    private func askAhead(on lane: Lane? = nil, inHand: Int = 0) {
        let seeker = CallQueue.Seeker(
            worker: ID(self), lane: lane, isReady: lane?.isReady ?? asked.allSatisfy(\.isReady),
            lanesAsked: asked.count, underWay: asked.reduce(0) { $0 + $1.underWay }, inHand: inHand)
        if let assignment = queue.nextGets(for: seeker) { _ = begin(assignment) }
    }

    /// Waits for what was asked first, and returns the calls, their answers prepared. What has come meanwhile is asked
    /// before their tasks go on, so that the server is busy while they do.
    private func answers() -> CallList {
        let lane = asked.removeFirst()
        var calls = CallList()
        do {
            calls = try lane.answers()
        } catch {
            failThoseWhoWaited(error, lane.drain)
        }
        askAhead(on: lane, inHand: calls.count)
        return calls
    }

    private func write(_ call: Call, _ operation: WriteOperation, on lane: Lane, _ drain: UInt64) -> CallList {
        guard !call.isOver else { return CallList() }
        do {
            call.prepare(.written(try lane.write(operation)))
            return CallList(call)
        } catch {
            call.finish(.failure(error))
            failThoseWhoWaited(error, drain)
            return CallList()
        }
    }

    /// After a timeout: whoever waited for the server all the while, in the queue or on the other connection, would
    /// only wait for one more.
    private func failThoseWhoWaited(_ error: any Error, _ drain: UInt64) {
        guard let error = error as? CacheError, error.code == .timeout else { return }
        queue.fail(through: drain, error)
        for lane in asked {
            lane.abandon(error)
            queue.giveBack(lane)
        }
        asked = []
    }

    // MARK: Tasks

    /// Goes on with the tasks of answered calls, here or on the global executor, and says whether this thread has the
    /// worker still.
    private func goOn(with calls: consuming CallList) -> Bool {
        guard let calls = AnsweredCalls.leaveAllButMostUrgent(of: calls) else { return true }
        guard relieved.load(ordering: .relaxed) == 0, pace.allowsNext(at: clock.time()) else {
            calls.leave()
            return true
        }
        answered = calls
        willLook = !queue.isShared
        if willLook { queue.willLook() }
        let turn = turns.add(1, ordering: .sequentiallyConsistent).newValue
        watchdog.wake()
        let effort = calls.goOn(clock)
        guard endTurn(turn) else {
            relieved.subtract(1, ordering: .relaxed)
            return false
        }
        answered = nil
        if willLook { queue.looks() }
        if let isLarge = share.note(effort) { queue.note(tasksTakeMost: isLarge, at: clock.time()) }
        if effort.isSlow { pace.note(slow: effort.time, at: clock.time()) }
        return true
    }

    /// Takes the worker from a thread that is still in a turn, and leaves the tasks that wait for it to the global
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
        resign()
        if willLook { queue.doesNotLook() }
        pace.note(slow: Watchdog.longestTurn, at: clock.time())
        return true
    }

    /// Leaves the gets to other workers for as long as this one is busy.
    func resign() { queue.resign(ID(self)) }

    private func endTurn(_ turn: UInt64) -> Bool {
        turns.compareExchange(expected: turn, desired: turn + 1, ordering: .acquiringAndReleasing).exchanged
    }
}
