import MintCache
import Synchronization

/// The thread that does the writes that a server must acknowledge one by one: invalidations, large values, and what is
/// not unique.
// @unchecked: everything but the atomics belongs to the thread that has the role (see ``Shift``); `current` is changed
// under the queue's lock only.
final class Writer: Worker, @unchecked Sendable {
    let shift = Shift()
    let queue: CallQueue
    private let state: ServerState
    private let timekeeper: Timekeeper
    let stuck: StuckThreads
    private let makeConnection: @Sendable () -> any ServerConnection
    private let connection: any ServerConnection
    /// The call that is under way.
    private var current = CallList()
    private let ended = Atomic(false)

    init(
        _ queue: CallQueue, _ state: ServerState, _ timekeeper: Timekeeper, _ stuck: StuckThreads,
        _ makeConnection: @escaping @Sendable () -> any ServerConnection
    ) {
        self.queue = queue
        self.state = state
        self.timekeeper = timekeeper
        self.stuck = stuck
        self.makeConnection = makeConnection
        connection = makeConnection()
    }

    var hasEnded: Bool { ended.load(ordering: .sequentiallyConsistent) }

    func run() {
        while queue.wait() != .closed {
            // It may be over.
            guard takeOne() else { continue }
            let stretch = shift.begin(.library)
            timekeeper.wake()
            current.forEach { $0.prepare(reply(to: $0.request)) }
            guard shift.end(stretch) else {
                connection.close()
                return stuck.noteReturn()
            }
            var done = queue.take { _ in exchange(&current, with: CallList()) }
            while let call = done.popFirst() { call.finish() }
        }
        connection.close()
        ended.store(true, ordering: .sequentiallyConsistent)
        timekeeper.wake()
    }

    /// Takes the first call that is not over, if there is one.
    private func takeOne() -> Bool {
        queue.take { backlog in
            var isFirst = true
            backlog.move(to: &current) { _ in
                defer { isFirst = false }
                return isFirst
            }
            return !current.isEmpty
        }
    }

    private func reply(to request: Call.Request) -> Call.Reply {
        guard case .write(let operation) = request else { preconditionFailure("a read among writes") }
        do {
            return .written(try connection.write(operation) ? .stored() : .notStored)
        } catch {
            return .failure(error)
        }
    }

    // MARK: For the timekeeper

    func expireCalls(before time: UInt64) {
        let error = ReturnCode.timeout(state.server)
        queue.expire(before: time, error) { current.expire(before: time, error) }
    }

    func leaveTasks() {}

    func successor() -> any Worker {
        let error = ReturnCode.timeout(state.server)
        queue.take { _ in current.expire(before: .max, error) }
        state.fail(error, isConnecting: false)
        return Writer(queue, state, timekeeper, stuck, makeConnection)
    }
}
