import MintCache
import Synchronization

/// One operation that a task waits for, from when it is queued to when it is answered, cancelled or expired, of which
/// exactly one happens.
///
/// It is also its own place in the queue, so that queueing allocates nothing, and the place where its task waits: see
/// `Resumption/Call+Waiting.swift`.
// nonisolated(unsafe): `next` belongs to the owner of the list that the call is in: the task that pushes it, the queue
// under its lock, the thread that has the batch. `waiter` is written before `phase` publishes it, `reply` and `expiry`
// before the task that reads them goes on.
final actor Call {
    /// What is asked.
    enum Request {
        case get(StoreKey)
        /// A key and those that go with it.
        case getAll(StoreKey, [StoreKey])
        /// Indirect, so that the many gets are small.
        indirect case write(WriteOperation)
        /// Writes that are read back together.
        case writeAll([WriteOperation])
        /// Writes that are read back, and then a key and those that go with it.
        indirect case writeAndGetAll([WriteOperation], StoreKey, [StoreKey])
    }

    /// What came back.
    enum Reply {
        case item(StoreItem?)
        /// Of a key and of those that go with it, in their order.
        case items(StoreItem?, [StoreItem?])
        case written(StoreWrite)
        /// Of each write.
        case allWritten([Result<StoreWrite, any Error>])
        case failure(any Error)
    }

    enum Phase: UInt8, AtomicRepresentable {
        /// The task has not been suspended yet. If the call ends now, the task itself goes on.
        case made
        /// What ends the call resumes the task.
        case waiting
        case answered
        case cancelled
        case expired
    }

    /// What is kept of the task.
    enum Waiter {
        case none
        case job(UnownedJob)
        case continuation(UnsafeContinuation<Void, Never>)
    }

    nonisolated let request: Request
    /// When it was made, in ``Ticks/coarse``.
    nonisolated let began = Ticks.coarse
    nonisolated(unsafe) var next: Unmanaged<Call>?
    nonisolated(unsafe) var waiter = Waiter.none
    /// Of the task, as it was when it was suspended: its job may be gone when the call is over.
    nonisolated(unsafe) var priority = JobPriority(rawValue: 0)
    /// Not counted, or all threads would count at one place. It is used until the call is queued; until then the task
    /// cannot go on, and so the store that it called and the queue are there.
    nonisolated let queue: Unmanaged<CallQueue>
    nonisolated let phase = Atomic(Phase.made)
    /// Jobs for the task that came while it waited, and whether there are any.
    nonisolated let laterJobs = Mutex<[UnownedJob]>([])
    nonisolated let hasLaterJobs = Atomic(false)
    private nonisolated(unsafe) var reply: Reply?
    private nonisolated(unsafe) var expiry: (any Error)?

    init(_ request: Request, in queue: Unmanaged<CallQueue>) {
        self.request = request
        self.queue = queue
    }

    /// Whether nobody waits for it any more.
    nonisolated var isOver: Bool {
        switch phase.load(ordering: .relaxed) {
        case .made, .waiting: false
        case .answered, .cancelled, .expired: true
        }
    }

    /// Queues the call and waits until it is answered; once only.
    ///
    /// - Throws: what the call failed with; `CancellationError` as soon as the task is cancelled, and then the
    ///   operation may still happen.
    @inline(__always)
    nonisolated func wait() async throws -> Reply {
        await withTaskCancellationHandler {
            await suspend()
        } onCancel: {
            if end(.cancelled) { resume() }
        }
        let phase = phase.load(ordering: .acquiring)
        guard phase == .answered else {
            // The thread that has the call may be writing a reply just now.
            throw phase == .expired ? expiry.take() ?? CancellationError() : CancellationError()
        }
        // Taken, not copied: what calls of one batch share is counted by all their threads.
        switch reply.take() {
        case .failure(let error): throw error
        case .some(let reply): return reply
        case nil: preconditionFailure("a call is over without a reply")
        }
    }

    // MARK: Ending

    /// Sets what the reply is going to be; once only, by the thread that has the call.
    nonisolated func prepare(_ reply: Reply) { self.reply = reply }

    /// Answers the call, unless it is over.
    nonisolated func finish(_ reply: Reply) {
        prepare(reply)
        finish()
    }

    /// Answers the call with what was prepared, unless it is over.
    nonisolated func finish() {
        if end(.answered) { resume() }
    }

    /// Fails the call, unless it is over, while another thread has it. By the timekeeper only.
    nonisolated func expire(_ error: any Error) {
        guard !isOver else { return }
        expiry = error
        if end(.expired) { resume() }
    }

    /// Ends the call, unless it is over, and says whether its task waits to be resumed.
    nonisolated func end(_ phase: Phase) -> Bool {
        !advance(from: .made, to: phase) && advance(from: .waiting, to: phase)
    }

    nonisolated func advance(from phase: Phase, to next: Phase) -> Bool {
        self.phase.compareExchange(expected: phase, desired: next, ordering: .sequentiallyConsistent).exchanged
    }
}

extension Call.Reply {
    /// The reply to a write.
    init(_ outcome: Result<StoreWrite, any Error>) {
        switch outcome {
        case .success(let write): self = .written(write)
        case .failure(let error): self = .failure(error)
        }
    }
}
