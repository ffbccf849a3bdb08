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
    private let sizes = Mutex<[Int]>([])
    private let hold = Mutex<DispatchSemaphore?>(nil)
    private let thread = Mutex<Thread?>(nil)
    let asked = Counter()
    let taking = Counter()
    let written = Counter()
    let probed = Counter()
    let closed = Counter()
    let isOpen: Bool

    init(isOpen: Bool = true) { self.isOpen = isOpen }

    /// Whether this is the thread that it was used on last.
    var isUsedHere: Bool { thread.withLock { $0 === Thread.current } }

    /// How many keys each batch had.
    var keyCounts: [Int] { sizes.withLock { $0 } }

    /// Lets it answer so many batches.
    func answer(_ count: Int = 1) {
        for _ in 1...count { answers.signal() }
    }

    /// Lets it fail.
    func fail(_ error: CacheError) {
        self.error.withLock { $0 = error }
        answers.signal()
    }

    /// Has asking hang until a signal.
    func holdAsking(_ signal: DispatchSemaphore) { hold.withLock { $0 = signal } }

    func ask(for batch: inout Batch) {
        let count = batch.keys.count
        sizes.withLock { $0.append(count) }
        asked.increment()
        hold.withLock { $0 }?.wait()
    }

    func take(into batch: inout Batch) throws {
        taking.increment()
        answers.wait()
        thread.withLock { $0 = Thread.current }
        if let error = error.withLock({ $0.take() }) { throw error }
    }

    func write(_ operation: WriteOperation) throws -> Bool {
        written.increment()
        answers.wait()
        if let error = error.withLock({ $0.take() }) { throw error }
        return true
    }

    func probe() throws { probed.increment() }

    func close() { closed.increment() }
}

/// A conversation on such a connection, which both its exchanges have.
struct StagedConversation {
    let connection: StagedConnection
    let queue: CallQueue
    let conversation: Conversation
    let timekeeper = Timekeeper()
    let state: ServerState
    private let operationTimeout: UInt64

    init(
        maximumBatch: Int = 1000, resumesTasks: Bool = true, isOpen: Bool = true,
        operationTimeout: Duration = .seconds(600)
    ) {
        let connection = StagedConnection(isOpen: isOpen)
        self.connection = connection
        self.operationTimeout = operationTimeout.nanoseconds
        queue = CallQueue(limit: 10_000, resumesTasks: resumesTasks)
        state = ServerState(staged, failuresToOpen: 2)
        conversation = Conversation(
            queue, state, .init(calls: maximumBatch, lineLength: 16_000), timekeeper, StuckThreads()
        ) { connection }
    }

    func rounds() -> Timekeeper.Rounds {
        var rounds = Timekeeper.Rounds(operationTimeout: operationTimeout)
        rounds.look(after: [conversation])
        return rounds
    }

    /// Starts the thread. Without a timekeeper it keeps its role whatever its tasks do, even on a machine so busy that
    /// it looks as if they kept it.
    func start(isWatched: Bool) throws {
        try conversation.start()
        guard isWatched else { return }
        timekeeper.add([conversation])
        try BlockingThread.start { [timekeeper, operationTimeout] in timekeeper.run(operationTimeout: operationTimeout)
        }
    }

    func stop() async throws {
        queue.close()
        try await eventually { conversation.hasEnded }
    }

    func get(_ name: String = "k") async throws {
        guard case .item = try await Call(.get(StoreKey(name)), in: queue).wait() else {
            throw CacheError(.storeFailure, "another reply than to a get")
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
        try await eventually { call.phase.load(ordering: .relaxed) == .waiting && connection.asked.value > before }
        return task
    }
}

private let staged: MemcachedServer = {
    guard let server = try? MemcachedServer("127.0.0.1:1") else { preconditionFailure("a good address") }
    return server
}()
