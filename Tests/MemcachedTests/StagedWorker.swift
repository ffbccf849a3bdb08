import Dispatch
import Foundation
import MintCache
import Synchronization
import TestSupport

@testable import Memcached

/// A connection that answers when a test lets it, with nothing.
final class StagedConnection: ServerConnection, Sendable {
    private let answers = DispatchSemaphore(value: 0)
    private let error = Mutex<CacheError?>(nil)
    let asked = Counter()
    let written = Counter()
    let closed = Counter()
    private let thread = Mutex<Thread?>(nil)

    /// Whether this is the thread that it was used on last.
    var isUsedHere: Bool { thread.withLock { $0 === Thread.current } }

    /// Lets it answer so many batches.
    func answer(_ count: Int = 1) {
        for _ in 1...count { answers.signal() }
    }

    /// Lets it fail.
    func fail(_ error: CacheError) {
        self.error.withLock { $0 = error }
        answers.signal()
    }

    let isReady: Bool

    init(isReady: Bool = true) { self.isReady = isReady }

    func ask(for batch: borrowing KeyBatch) { asked.increment() }

    func take(_ items: inout FetchedItems, of batch: borrowing KeyBatch) throws {
        answers.wait()
        thread.withLock { $0 = Thread.current }
        if let error = error.withLock({ $0.take() }) { throw error }
    }

    func write(_ operation: WriteOperation) throws -> Bool {
        written.increment()
        thread.withLock { $0 = Thread.current }
        return true
    }

    func close() { closed.increment() }
}

/// A worker on such connections.
struct StagedWorker {
    let connections: [StagedConnection]
    let queue: CallQueue
    let worker: Worker
    let watchdog = Watchdog()

    var connection: StagedConnection { connections[0] }

    init(connections: Int = 1, isReady: Bool = true, clock: ThreadClock = .system) {
        self.connections = (0..<connections).map { _ in StagedConnection(isReady: isReady) }
        queue = CallQueue(maximumBatch: 1000, lanes: self.connections.map { Lane($0) })
        worker = Worker(queue: queue, watchdog: watchdog, clock: clock)
    }

    /// Starts the worker's thread. Without a watchdog it keeps the connection whatever its tasks do, even on a machine
    /// so busy that it looks as if they kept it.
    func start(isWatched: Bool) throws {
        try worker.start()
        if isWatched { try BlockingThread.start { [watchdog, worker] in watchdog.run([worker]) } }
    }

    func stop() async throws {
        queue.close()
        try await eventually { worker.hasEnded }
    }

    func get(_ name: String = "k") async throws {
        guard case .item = try await Call(.get(StoreKey(name)), in: queue).wait() else {
            throw CacheError(.storeFailure, "another answer than to a get")
        }
    }

    /// Starts a task that gets and then does something, and returns when the server was asked and the task is
    /// suspended: an answer that came earlier would not go on with it.
    func suspendedGet<Result: Sendable>(
        then body: @escaping @Sendable () async throws -> Result
    ) async throws -> Task<Result, any Error> {
        let call = Call(.get(try StoreKey("first")), in: queue)
        let before = connection.asked.value
        let task = Task {
            _ = try await call.wait()
            return try await body()
        }
        try await eventually { call.isWaiting && connection.asked.value > before }
        return task
    }

    func write() async throws {
        _ = try await Call(.write(.delete(StoreKey("k"))), in: queue).wait()
    }
}

extension Call {
    init(_ request: Request, in queue: CallQueue) { self.init(request, in: .passUnretained(queue)) }
}

extension CallQueue {
    /// A queue of one connection for a test that takes the place of a worker.
    convenience init(maximumBatch: Int) {
        self.init(maximumBatch: maximumBatch, lanes: [Lane(StagedConnection())])
        // So that it is given all that waits, not the half of it.
        isShared = true
    }

    /// The next work, whose connection the test does without.
    func take() -> Taken? {
        let taken = take(for: Worker.ID(self))
        if let taken { giveBack(taken.lane) }
        return taken
    }

    func take(for worker: Worker.ID) -> Taken? { Taken(next(for: worker)) }

    func takeGets(for seeker: Seeker) -> Taken? { Taken(nextGets(for: seeker)) }
}

/// An assignment that can be copied.
struct Taken {
    enum Work {
        case gets([Call])
        case write(Call, WriteOperation)
    }

    var work: Work
    var lane: Lane
    var drain: UInt64

    init?(_ assignment: consuming CallQueue.Assignment?) {
        guard let assignment else { return nil }
        (lane, drain) = (assignment.lane, assignment.drain)
        switch assignment.work {
        case .gets(let calls):
            var gets: [Call] = []
            calls.forEach { gets.append($0) }
            work = .gets(gets)
        case .write(let call, let operation): work = .write(call, operation)
        }
    }
}

extension CallList {
    init(_ calls: [Call]) {
        self.init()
        for call in calls { append(.passRetained(call)) }
    }
}
