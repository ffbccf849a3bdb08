import Synchronization

/// How a task waits for its call, and how it goes on.
///
/// **With a store that resumes tasks**, the call is an actor that is its own executor. A task that enters it is
/// suspended, and the call keeps the job that is the rest of the task. The thread that has the reply runs that job
/// there and then, until the task waits for something else. What this relies on of the runtime, beyond what Swift
/// promises:
///
/// 1. a task that enters an actor with an executor of its own is handed to `enqueue(_:)` as one job, and does not go on
///    before that is run (ResumptionTests: "are suspended until their jobs are run");
/// 2. a job that is run as one of the global executor's leaves the actor without being queued again, where the task has
///    no isolation and prefers no executor ("go on at once on the thread that runs the job"); otherwise it is queued
///    where it belongs, which is slower and right ("go on where they were");
/// 3. a thread that is nobody's may run jobs (all of these tests).
///
/// A runtime that hands over another job for a task that waits, when its priority is raised, has that run too, when the
/// call is over ("have a later job run too"). `make test-release` checks all of it in optimized code.
///
/// **Without**, a task waits in a continuation, as any does.
///
/// Only major versions of the compiler that the tests have run with take the first way, and Apple's platforms, where
/// nobody has tried it, do not.
extension Call: SerialExecutor {
    /// Whether this build can resume tasks on its own threads.
    #if compiler(>=6.2) && compiler(<7) && !canImport(Darwin)
    static let canResumeTasks = true
    #else
    static let canResumeTasks = false
    #endif

    /// Suspends the task until the call is over.
    @inline(__always)
    nonisolated func suspend() async {
        if Self.canResumeTasks, queue._withUnsafeGuaranteedRef({ $0.resumesTasks }) {
            await enter()
        } else {
            await suspendInContinuation()
        }
    }

    @inline(never)
    private nonisolated func suspendInContinuation() async {
        await withUnsafeContinuation { continuation in push(.continuation(continuation)) }
    }

    /// Entering the actor is what suspends the task. Inside, something has to be touched: the compiler leaves out
    /// entering an actor for nothing.
    @inline(__always)
    private func enter() { _ = phase.load(ordering: .relaxed) }

    nonisolated var unownedExecutor: UnownedSerialExecutor { asUnownedSerialExecutor() }

    /// Keeps the rest of the task that enters, and queues the call.
    nonisolated func enqueue(_ job: consuming ExecutorJob) {
        guard case .none = waiter else { return keep(UnownedJob(job)) }
        priority = job.priority
        push(.job(UnownedJob(job)))
    }

    private nonisolated func push(_ waiter: Waiter) {
        self.waiter = waiter
        if !isOver { queue._withUnsafeGuaranteedRef { $0.push(self) } }
        // From here on the task may be resumed, and the call and its queue may be gone.
        if !advance(from: .made, to: .waiting) { resume() }
    }

    /// Keeps a later job for a task until the call is over.
    private nonisolated func keep(_ job: UnownedJob) {
        laterJobs.withLock { $0.append(job) }
        hasLaterJobs.store(true, ordering: .sequentiallyConsistent)
        // Either this sees that the call is over, or what ends the call sees the job.
        if isOver { Task.detached { self.runLaterJobs() } }
    }

    private nonisolated func runLaterJobs() {
        for job in laterJobs.withLock({ exchange(&$0, with: []) }) { job.runSynchronously(on: Self.globalExecutor) }
    }

    // MARK: Going on

    /// Answers the call with what was prepared, unless it is over, and goes on with its task here and now.
    nonisolated func finishHere() {
        if end(.answered) { goOn() }
    }

    /// Has the task go on elsewhere. The call is over.
    nonisolated func resume() {
        switch waiter {
        case .none: preconditionFailure("a call without a task")
        case .continuation(let continuation): continuation.resume()
        case .job:
            // In a job of its own, since an executor takes itself for the one that the task prefers when it is given
            // the task's.
            Task.detached(priority: TaskPriority(priority)) { self.goOn() }
        }
    }

    private nonisolated func goOn() {
        switch waiter {
        case .none: preconditionFailure("a call without a task")
        case .continuation(let continuation): continuation.resume()
        case .job(let job): job.runSynchronously(on: Self.globalExecutor)
        }
        if hasLaterJobs.load(ordering: .sequentiallyConsistent) { runLaterJobs() }
    }

    private static let globalExecutor = globalConcurrentExecutor.asUnownedTaskExecutor()
}
