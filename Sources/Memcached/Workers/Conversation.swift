import MintCache
import Synchronization

/// The thread that converses with a server: it sends what is read and what can be read back, and resumes the tasks that
/// waited for it.
///
/// It has two exchanges under way, each on a connection of its own, so that the server works at one while the tasks of
/// the other go on. A batch is half of what is open. As a task that soon waits for the next call does so on this
/// thread, most calls need no other one, and none has to be woken.
// @unchecked: everything but the atomics belongs to the thread that has the role (see ``Shift``). The lists of calls
// are changed under the queue's lock only, since the timekeeper looks into them.
final class Conversation: Worker, @unchecked Sendable {
    struct Limits {
        /// The most calls for one exchange.
        var calls: Int
        /// The most bytes for its keys.
        var lineLength: Int
    }

    /// A smaller batch is not worth an exchange while there is anything else to do: sixteen cost the server hardly more
    /// than one.
    private static let few = 16

    let shift = Shift()
    let queue: CallQueue
    private let state: ServerState
    private let limits: Limits
    private let timekeeper: Timekeeper
    let stuck: StuckThreads
    private let instruments: ClientInstruments?
    private let makeConnection: @Sendable () -> any ServerConnection
    /// Those that are under way, in the order in which they were asked, and the others.
    private var asked: [Exchange] = []
    private var free: [Exchange]
    /// Those that have their replies, and whose tasks go on next.
    private var received = CallList()
    private let resumption = Resumption()
    private let ended = Atomic(false)

    init(
        _ queue: CallQueue, _ state: ServerState, _ limits: Limits, _ timekeeper: Timekeeper, _ stuck: StuckThreads,
        _ instruments: ClientInstruments? = nil,
        _ makeConnection: @escaping @Sendable () -> any ServerConnection
    ) {
        self.queue = queue
        self.state = state
        self.limits = limits
        self.timekeeper = timekeeper
        self.stuck = stuck
        self.instruments = instruments
        self.makeConnection = makeConnection
        free = [Exchange(makeConnection()), Exchange(makeConnection())]
    }

    var hasEnded: Bool { ended.load(ordering: .sequentiallyConsistent) }

    // MARK: The loop

    func run() {
        while true {
            if asked.isEmpty {
                switch queue.wait(atMost: state.untilProbe) {
                case .calls: guard ask(inHand: 0) else { return }
                case .attention: guard state.untilProbe != 0 || probe() else { return }
                case .closed: return end()
                }
            } else {
                // So that the server is busy while this thread takes the items of the other exchange.
                guard ask(inHand: 0), receive(), ask(inHand: received.count), resume() else { return }
            }
        }
    }

    private func end() {
        for exchange in free { exchange.connection.close() }
        ended.store(true, ordering: .sequentiallyConsistent)
        timekeeper.wake()
    }

    /// Does something in the C library, and says whether this thread has its role still.
    private func inLibrary(_ body: () -> Void) -> Bool {
        let stretch = shift.begin(.library)
        timekeeper.wake()
        body()
        if shift.end(stretch) { return true }
        // The successor has connections of its own.
        for exchange in asked + free { exchange.connection.close() }
        stuck.noteReturn()
        return false
    }

    /// Asks for what waits, if it is enough.
    ///
    /// - Parameter inHand: how many calls have their replies, whose tasks go on next: more calls will come from them.
    /// - Returns: whether this thread has its role still.
    private func ask(inHand: Int) -> Bool {
        // A second connection to a server that answers is quickly made.
        guard let exchange = free.last, asked.allSatisfy(\.connection.isOpen) else { return true }
        let open = asked.reduce(inHand) { $0 + $1.calls.count }
        let enough = inHand == 0 ? 1 : asked.isEmpty ? Self.few : limits.calls
        queue.take { backlog in
            let waiting = backlog.count
            guard waiting >= enough else { return }
            exchange.calls = exchange.batch.fill(
                from: &backlog, atMost: min(limits.calls, max(Self.few, (waiting + open + 1) / 2)),
                lineLength: limits.lineLength)
            // All may have been over.
            if !exchange.calls.isEmpty { asked.append(free.removeLast()) }
        }
        guard asked.last === exchange else { return true }
        if let instruments { instruments.noteExchange(calls: exchange.calls.count) }
        return inLibrary { exchange.connection.ask(for: &exchange.batch) }
    }

    /// Waits for the items of the exchange that was asked first, and prepares the replies of its calls.
    ///
    /// - Returns: whether this thread has its role still.
    private func receive() -> Bool {
        let exchange = asked[0]
        let isOurs = inLibrary {
            do {
                try exchange.connection.take(into: &exchange.batch)
                exchange.batch.prepareReplies(of: exchange.calls)
            } catch {
                exchange.batch.abandon()
                exchange.calls.forEach { $0.prepare(.failure(error)) }
            }
        }
        guard isOurs else { return false }
        if state.isOpen { queue.failAll(state.refusal) }
        queue.take { _ in
            asked.removeFirst()
            free.append(exchange)
            received = Swift.exchange(&exchange.calls, with: CallList())
        }
        return true
    }

    private func probe() -> Bool {
        guard let connection = free.last?.connection else { return true }
        return inLibrary { try? connection.probe() }
    }

    /// Goes on with the tasks of the calls that have their replies, and says whether this thread has its role still.
    private func resume() -> Bool {
        var calls = takeReceived()
        guard queue.resumesTasks else {
            while let call = calls.popFirst() { call.finish() }
            return true
        }
        guard let calls = resumption.begin(consume calls) else { return true }
        let stretch = shift.begin(.tasks)
        timekeeper.wake()
        let slow = resumption.run(calls)
        guard shift.end(stretch) else {
            resumption.noteReturn()
            return false
        }
        resumption.end(slow: slow)
        return true
    }

    private func takeReceived() -> CallList { queue.take { _ in exchange(&received, with: CallList()) } }

    // MARK: For the timekeeper

    func expireCalls(before time: UInt64) {
        let error = ReturnCode.timeout(state.server)
        queue.expire(before: time, error) {
            for exchange in asked { exchange.calls.expire(before: time, error) }
            received.expire(before: time, error)
        }
    }

    func leaveTasks() { resumption.leave() }

    func successor() -> any Worker {
        let error = ReturnCode.timeout(state.server)
        queue.take { _ in for exchange in asked { exchange.calls.expire(before: .max, error) } }
        // These have their replies: the thread was asking for the next ones.
        var received = takeReceived()
        while let call = received.popFirst() { call.finish() }
        state.fail(error, isConnecting: false)
        return Conversation(queue, state, limits, timekeeper, stuck, instruments, makeConnection)
    }
}

/// A connection, and the calls of the exchange that is under way on it.
private final class Exchange {
    let connection: any ServerConnection
    var batch = Batch()
    var calls = CallList()

    init(_ connection: any ServerConnection) { self.connection = connection }
}
