import MintCache
import Synchronization

/// One operation that a task waits for, from when it is queued to when it is answered or cancelled, of which exactly
/// one happens.
///
/// It is also its own place in the queue, so that queueing allocates nothing, and the place where its task waits: an
/// actor that is its own executor. A task that enters it is suspended, and the call keeps the job that is the rest of
/// the task until there is an answer. ``AnsweredCalls`` tells what that is good for.
// nonisolated(unsafe): `next` and `drain` belong to whoever has the list that the call is in: the task that pushes it,
// the queue under its lock, the worker that has the lane, then `AnsweredCalls` under its own lock. `job` is written
// before `phase` publishes it, and `answer` before `phase` says that it is there.
final actor Call: SerialExecutor {
    /// What is asked.
    enum Request {
        case get(StoreKey)
        /// A key and those that go with it.
        case getAll(StoreKey, [StoreKey])
        /// Indirect, so that the many gets are small.
        indirect case write(WriteOperation)
    }

    /// What came back.
    enum Answer {
        case item(StoreItem?)
        /// Of a key and of those that go with it, in their order.
        case items(StoreItem?, [StoreItem?])
        /// Whether the write took place.
        case written(Bool)
        case failure(any Error)
    }

    private enum Phase: UInt8, AtomicRepresentable {
        /// The task has not been suspended yet. Whoever answers or cancels the call now leaves it to the task to go on.
        case made
        /// Whoever answers or cancels it resumes the task.
        case waiting
        case answered
        case cancelled
    }

    nonisolated let request: Request
    nonisolated(unsafe) var next: Unmanaged<Call>?
    /// Which drain of the queue's inlet found the call.
    nonisolated(unsafe) var drain: UInt64 = 0
    /// The priority of the task.
    private(set) nonisolated(unsafe) var priority = JobPriority(rawValue: 0)
    /// Not counted, or all threads would count at one place. It is used until ``enqueue(_:)`` has queued the call;
    /// until then the task cannot go on, and so the store that it called and the queue are there.
    private nonisolated let queue: Unmanaged<CallQueue>
    private nonisolated let phase = Atomic(Phase.made)
    /// The rest of the task.
    private nonisolated(unsafe) var job: UnownedJob?
    private nonisolated(unsafe) var answer: Answer?

    init(_ request: Request, in queue: Unmanaged<CallQueue>) {
        self.request = request
        self.queue = queue
    }

    nonisolated var isWrite: Bool {
        if case .write = request { true } else { false }
    }

    /// Whether nobody waits for it any more.
    nonisolated var isOver: Bool {
        switch phase.load(ordering: .relaxed) {
        case .made, .waiting: false
        case .answered, .cancelled: true
        }
    }

    /// Whether its task is suspended, so that whoever answers it goes on with the task.
    nonisolated var isWaiting: Bool { phase.load(ordering: .relaxed) == .waiting }

    // MARK: Waiting

    /// Queues the call and waits until it is answered; once only.
    ///
    /// - Throws: what the call failed with; `CancellationError` as soon as the task is cancelled, and then the
    ///   operation may still happen.
    @inline(__always)
    nonisolated func wait() async throws -> Answer {
        await withTaskCancellationHandler {
            await enter()
        } onCancel: {
            if end(.cancelled) { resume() }
        }
        let phase = phase.load(ordering: .relaxed)
        guard phase == .answered else {
            precondition(phase == .cancelled, "a task went on before its call was over")
            // The worker may be writing the answer just now.
            throw CancellationError()
        }
        // Taken, not copied: what calls of one batch share is counted by all their threads.
        switch answer.take() {
        case .failure(let error): throw error
        case .some(let answer): return answer
        case nil: preconditionFailure("a call is over without an answer")
        }
    }

    /// Entering the actor is what suspends the task. Inside, something has to be touched: the compiler leaves out
    /// entering an actor for nothing.
    @inline(__always)
    private func enter() { _ = phase.load(ordering: .relaxed) }

    nonisolated var unownedExecutor: UnownedSerialExecutor { asUnownedSerialExecutor() }

    /// Keeps the rest of the task that enters, and queues the call.
    nonisolated func enqueue(_ job: consuming ExecutorJob) {
        // A task enters once. A runtime that sends another job for it when its priority is raised is served by the
        // first one.
        guard self.job == nil else { return }
        priority = job.priority
        self.job = UnownedJob(job)
        if !isOver { queue._withUnsafeGuaranteedRef { $0.push(self) } }
        // From here on the task may be resumed, and the call and its queue may be gone.
        if !advance(from: .made, to: .waiting) { resume() }
    }

    // MARK: Answering

    /// Says what the answer is going to be; once only, by whoever took the call from the queue.
    nonisolated func prepare(_ answer: Answer) { self.answer = answer }

    /// Answers the call, unless it was cancelled.
    nonisolated func finish(_ answer: Answer) {
        prepare(answer)
        finish()
    }

    /// Answers the call with what was prepared, unless it was cancelled.
    nonisolated func finish() {
        if end(.answered) { resume() }
    }

    /// Answers the call with what was prepared, unless it was cancelled, and goes on with its task here and now.
    ///
    /// The task takes this thread for one of the global executor, whether it is or not.
    nonisolated func finishHere() {
        if end(.answered) { goOn() }
    }

    /// Ends the call, unless it is over, and says whether its task waits to be resumed.
    private nonisolated func end(_ phase: Phase) -> Bool {
        !advance(from: .made, to: phase) && advance(from: .waiting, to: phase)
    }

    /// Has the global executor go on with the task: in a job of its own, since an executor takes itself for the one
    /// that the task prefers when it is given the task's.
    private nonisolated func resume() {
        Task.detached(priority: TaskPriority(priority)) { self.goOn() }
    }

    /// Goes on with the task, on this thread as one of the global executor: where the task has no isolation and prefers
    /// no executor, without queueing it once more.
    private nonisolated func goOn() {
        job?.runSynchronously(on: Self.globalExecutor)
    }

    private static let globalExecutor = globalConcurrentExecutor.asUnownedTaskExecutor()

    private nonisolated func advance(from phase: Phase, to next: Phase) -> Bool {
        self.phase.compareExchange(expected: phase, desired: next, ordering: .acquiringAndReleasing).exchanged
    }
}
