import Dispatch
import MintCache
import Synchronization
import TestSupport
import Testing

@testable import Memcached

/// What running tasks on threads of ours relies on of the runtime (see Call+Waiting.swift). `make test-release` runs it
/// as the compiler optimizes it, too.
@Suite("Tasks that wait for calls", .enabled(if: Call.canResumeTasks), .timeLimit(.minutes(5)))
struct ResumptionTests {
    private let key = StoreKey(trusted: [0x6B])
    private let queue = CallQueue(limit: 10_000, resumesTasks: true)

    private func get() async throws -> UInt64? {
        guard case .item(let item) = try await Call(.get(key), in: queue).wait() else { return nil }
        return item?.cas.rawValue
    }

    /// Waits until the tasks of so many gets are suspended, and takes the calls with a reply each.
    private func take(_ count: Int) async throws -> [Call] {
        try await eventually { queue.waiting == count }
        let calls = queue.takeAll()
        try await eventually { calls.allSatisfy { $0.phase.load(ordering: .acquiring) != .made } }
        for (place, call) in calls.enumerated() {
            let cas = try #require(StoreItem.CAS(rawValue: UInt64(place + 1)))
            call.prepare(.item(StoreItem(value: [], cas: cas)))
        }
        return calls
    }

    /// The same, and answers them all at once.
    private func answer(_ count: Int) async throws {
        ReadyCalls.leaveAllButMostUrgent(of: CallList(try await take(count)))?.leave()
    }

    @Test("are suspended until their jobs are run, each handed over once")
    func suspension() async throws {
        let (began, wentOn) = (Counter(), Counter())
        let tasks = (0..<100).map { _ in
            Task {
                began.increment()
                _ = try await get()
                wentOn.increment()
            }
        }
        let calls = try await take(100)
        for _ in 0..<1000 { await Task.yield() }
        #expect(began.value == 100 && wentOn.value == 0)
        #expect(calls.allSatisfy { !$0.hasLaterJobs.load(ordering: .relaxed) })
        for (place, call) in calls.enumerated() {
            call.finishHere()
            // Here and now, not at some time.
            #expect(wentOn.value == place + 1)
        }
        for task in tasks { try await task.value }
    }

    @Test("go on at once on the thread that runs the job, without another turn in the global executor's queue")
    func inline() async throws {
        let thread = DispatchQueue(label: "a thread of the global executor, for all that the call knows")
        let task = Task {
            _ = try await get()
            dispatchPrecondition(condition: .onQueue(thread))
        }
        let call = try #require(try await take(1).first)
        thread.async { call.finishHere() }
        try await task.value
    }

    @Test("go on where they were: on their actor")
    func actors() async throws {
        let actor = Counting()
        let tasks = (0..<100).map { _ in Task { try await actor.countUp { try await get() } } }
        try await answer(100)
        for task in tasks { try await task.value }
        #expect(await actor.count == 100)
    }

    @Test("go on where they were: on the main actor")
    func mainActor() async throws {
        let tasks = (0..<20).map { _ in
            Task { @MainActor in
                _ = try await get()
                MainActor.assertIsolated()
                dispatchPrecondition(condition: .onQueue(.main))
            }
        }
        try await answer(20)
        for task in tasks { try await task.value }
    }

    /// An executor on a queue of its own.
    private final class QueueExecutor: TaskExecutor {
        let queue = DispatchQueue(label: "test")

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        }
    }

    @Test("go on where they were: on the executor that they prefer, answered or cancelled", arguments: [3, 20])
    func preferredExecutor(count: Int) async throws {
        let executor = QueueExecutor()
        let tasks = (0..<2 * count).map { _ in
            Task(executorPreference: executor) {
                let result: Result<UInt64?, any Error>
                do { result = .success(try await get()) } catch { result = .failure(error) }
                dispatchPrecondition(condition: .onQueue(executor.queue))
                return try result.get()
            }
        }
        try await eventually { queue.waiting == 2 * count }
        for task in tasks[..<count] { task.cancel() }
        try await answer(count)
        for task in tasks[..<count] { await #expect(throws: CancellationError.self) { try await task.value } }
        for task in tasks[count...] { #expect(try await task.value != nil) }
    }

    @Test("go on where they were: on their actor, on the executor that they prefer", arguments: [3, 20])
    func preferredExecutorAndActor(count: Int) async throws {
        let (executor, actor) = (QueueExecutor(), Counting())
        let tasks = (0..<count).map { _ in
            Task {
                try await withTaskExecutorPreference(executor) {
                    try await actor.countUp { try await get() }
                    dispatchPrecondition(condition: .onQueue(executor.queue))
                }
            }
        }
        try await answer(count)
        for task in tasks { try await task.value }
        #expect(await actor.count == count)
    }

    @Test("have a later job run too, when the call is over")
    func laterJob() async throws {
        let call = Call(.get(key), in: queue)
        let first = Task { try await call.wait() }
        try await eventually { queue.waiting == 1 }
        // Another task enters the same actor: its job is a second one.
        let second = Task { await call.enterForTest() }
        try await eventually { call.hasLaterJobs.load(ordering: .relaxed) }
        call.finish(.item(nil))
        _ = try await first.value
        await second.value
        // And one that comes when the call is over.
        await call.enterForTest()
    }
}

private actor Counting {
    private(set) var count = 0

    func countUp(after get: nonisolated(nonsending) () async throws -> UInt64?) async throws {
        _ = try await get()
        assertIsolated()
        count += 1
    }
}

extension Call {
    fileprivate func enterForTest() { _ = isOver }
}
