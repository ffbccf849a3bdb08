import Dispatch
import Foundation
import MintCache
import Synchronization
import TestSupport
import Testing

@testable import Memcached

/// Workers with their threads, on a connection that a test holds up.
@Suite("A worker", .timeLimit(.minutes(2)))
struct WorkerTests {
    /// Answers when it is let, with nothing.
    private final class StagedConnection: ServerConnection, Sendable {
        private let answers = DispatchSemaphore(value: 0)
        let asked = Counter()
        let written = Counter()
        let closed = Counter()
        let thread = Mutex<Thread?>(nil)

        func ask(for batch: borrowing KeyBatch, maximumKeys: Int) { asked.increment() }

        func items(of batch: borrowing KeyBatch, maximumKeys: Int) throws -> [StoreItem?] {
            answers.wait()
            thread.withLock { $0 = Thread.current }
            return [StoreItem?](repeating: nil, count: batch.count)
        }

        func write(_ operation: WriteOperation) throws -> Bool {
            written.increment()
            thread.withLock { $0 = Thread.current }
            return true
        }

        func close() { closed.increment() }

        func answer(_ count: Int = 1) {
            for _ in 1...count { answers.signal() }
        }
    }

    private let connection = StagedConnection()
    private let queue = CallQueue(maximumBatch: 1000)
    private let worker: Worker
    private let watchdog = Watchdog()

    init() {
        worker = Worker(queue: queue, connection: connection, maximumBatch: 1000, watchdog: watchdog)
    }

    private func start() throws {
        try worker.start()
        try BlockingThread.start { [watchdog, worker] in watchdog.run([worker]) }
    }

    private func stop() async throws {
        queue.close()
        try await eventually { worker.hasEnded }
        #expect(connection.closed.value == 1)
    }

    private func get(_ name: String = "k") async throws {
        guard case .item = try await Call(.get(StoreKey(name)), in: queue).wait() else {
            throw CacheError(.storeFailure, "another answer than to a get")
        }
    }

    private func write() async throws {
        _ = try await Call(.write(.delete(StoreKey("k"))), in: queue).wait()
    }

    /// Whether this is the thread that the connection was used on last.
    private func isOnConnectionThread() -> Bool { connection.thread.withLock { $0 === Thread.current } }

    // MARK: Tasks

    @Test("goes on with quick tasks on its own thread, after gets and after writes")
    func inline() async throws {
        try start()
        connection.answer(1)
        let task = Task {
            try await get()
            let isInline = isOnConnectionThread()
            try await write()
            return isInline && isOnConnectionThread()
        }
        #expect(try await task.value)
        try await stop()
    }

    @Test("is relieved when a task keeps its thread, so that calls are answered all the same")
    func relieved() async throws {
        try start()
        connection.answer(50)
        let (keeps, others) = (Counter(), Counter())
        let keeper = Task {
            try await get()
            keeps.increment()
            // The only connection's thread is kept until others have been answered on that connection.
            while others.value < 20 {}
        }
        try await eventually { keeps.value == 1 }
        for _ in 1...20 {
            try await get()
            others.increment()
        }
        try await keeper.value
        try await stop()
    }

    @Test("is relieved when a task keeps its thread, so that those answered with it go on")
    func relievedBatch() async throws {
        try start()
        // The first get keeps the worker busy until the others have come.
        let first = Task { try await get("first") }
        try await eventually { connection.asked.value == 1 }
        let gone = Counter()
        let tasks = (0..<40).map { _ in
            Task {
                try await get()
                // Whoever goes on first keeps the thread until all have gone on.
                if gone.increment() == 1 { while gone.value < 40 {} }
            }
        }
        try await eventually { queue.waiting == 40 }
        connection.answer(2)
        try await first.value
        for task in tasks { try await task.value }
        try await stop()
    }

    @Test("ends when its queue is closed, even while a task keeps its thread")
    func ending() async throws {
        try start()
        connection.answer()
        let (keeps, ended) = (Counter(), Counter())
        let keeper = Task {
            try await get()
            keeps.increment()
            while ended.value == 0 {}
        }
        try await eventually { keeps.value == 1 }
        try await stop()
        ended.increment()
        try await keeper.value
    }

    @Test("is relieved only when it goes on with the same tasks at two looks, and once only")
    func looks() async throws {
        // No watchdog: the test looks itself.
        try worker.start()
        var rounds = WatchdogRounds([worker])
        let isQuiet = rounds.look()
        #expect(isQuiet)
        connection.answer(2)
        let (keeps, others) = (Counter(), Counter())
        let keeper = Task {
            try await get()
            keeps.increment()
            while others.value == 0 {}
        }
        try await eventually { keeps.value == 1 }
        let kept = worker.turn
        #expect(kept.isWithTasks)
        let firstIsQuiet = rounds.look()
        #expect(!firstIsQuiet && worker.turn == kept)
        let secondIsQuiet = rounds.look()
        #expect(!secondIsQuiet && worker.turn != kept && !worker.turn.isWithTasks)
        try await get()
        others.increment()
        try await keeper.value
        try await stop()
        #expect(rounds.areOver)
    }

    // MARK: Asking ahead

    @Test("asks for what has come before it goes on with tasks, if it is worth a call", arguments: [15, 16])
    func asksAhead(count: Int) async throws {
        try start()
        let first = Task {
            try await get("first")
            return connection.asked.value
        }
        try await eventually { connection.asked.value == 1 }
        let others = (0..<count).map { _ in Task { try await get() } }
        try await eventually { queue.waiting == count }
        connection.answer(2)
        #expect(try await first.value == (count < 16 ? 1 : 2))
        for task in others { try await task.value }
        try await stop()
    }

    @Test("does not ask for gets when it is the turn of a write")
    func writesFirst() async throws {
        try start()
        let first = Task {
            try await get("first")
            return (connection.asked.value, connection.written.value)
        }
        try await eventually { connection.asked.value == 1 }
        let others = (0..<20).map { _ in
            Task {
                try await get()
                return connection.written.value
            }
        }
        let writer = Task { try await write() }
        try await eventually { queue.waiting == 21 }
        connection.answer(2)
        #expect(try await first.value == (1, 0))
        for task in others { #expect(try await task.value == 1) }
        try await writer.value
        try await stop()
    }
}
