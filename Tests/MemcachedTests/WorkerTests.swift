import MintCache
import TestSupport
import Testing

@testable import Memcached

@Suite("A worker", .timeLimit(.minutes(2)))
struct WorkerTests {
    private let staged = StagedWorker()

    @Test("goes on with quick tasks on its own thread, after gets and after writes", arguments: [true, false])
    func inline(isGet: Bool) async throws {
        try staged.start(isWatched: false)
        // Now and then a task does not: when it was answered before it was suspended, or when its thread lost its
        // processor and it looked slow. If none ever does, the time limit tells.
        let task = Task {
            repeat {
                staged.connection.answer()
                if isGet { try await staged.get() } else { try await staged.write() }
            } while !staged.connection.isUsedHere
        }
        try await task.value
        try await staged.stop()
    }

    @Test("closes its connection when its queue is closed, after what waits in it")
    func ending() async throws {
        try staged.start(isWatched: false)
        let tasks = [Task { try await staged.get() }]
        try await eventually { staged.connection.asked.value == 1 }
        let others = [Task { try await staged.get() }, Task { try await staged.write() }]
        try await eventually { staged.queue.waiting == 2 }
        staged.queue.close()
        #expect(staged.connection.closed.value == 0)
        staged.connection.answer(2)
        try await staged.stop()
        for task in tasks + others { try await task.value }
        #expect(staged.connection.closed.value == 1)
    }

    @Test("tells its queue when tasks take most of its time")
    func taskShare() async throws {
        let looks = Counter()
        // Nine of ten milliseconds of processor time are those of tasks: the clock is asked before and after them.
        let clock = ThreadClock(
            time: { 0 },
            processorTime: {
                let look = UInt64(looks.increment())
                return look / 2 * 10_000_000 + look % 2 * 1_000_000
            })
        let staged = StagedWorker(clock: clock)
        let tasks = (0..<100).map { _ in Task { try await staged.get() } }
        try await eventually { staged.queue.waiting == 100 }
        try staged.start(isWatched: false)
        #expect(!staged.queue.isWorthSharing)
        // The first time begins what the share is counted of.
        staged.connection.answer(2)
        try await eventually { staged.queue.isWorthSharing }
        staged.connection.answer(100)
        for task in tasks { try await task.value }
        try await staged.stop()
    }

    // MARK: Asking ahead

    @Test("asks for what has come before it goes on with tasks, if it is worth a call", arguments: [15, 16])
    func asksAhead(count: Int) async throws {
        try staged.start(isWatched: false)
        let first = try await staged.suspendedGet { staged.connection.asked.value }
        let others = (0..<count).map { _ in Task { try await staged.get() } }
        try await eventually { staged.queue.waiting == count }
        staged.connection.answer(2)
        #expect(try await first.value == (count < 16 ? 1 : 2))
        for task in others { try await task.value }
        try await staged.stop()
    }

    @Test("does not ask before it goes on with tasks when that would have to wait for a new connection")
    func notReady() async throws {
        let staged = StagedWorker(isReady: false)
        try staged.start(isWatched: false)
        let first = try await staged.suspendedGet { staged.connection.asked.value }
        let others = (0..<40).map { _ in Task { try await staged.get() } }
        try await eventually { staged.queue.waiting == 40 }
        staged.connection.answer(10)
        #expect(try await first.value == 1)
        for task in others { try await task.value }
        try await staged.stop()
    }

    @Test("does not ask for gets when it is the turn of a write")
    func writesFirst() async throws {
        try staged.start(isWatched: false)
        let first = try await staged.suspendedGet { (staged.connection.asked.value, staged.connection.written.value) }
        let others = (0..<20).map { _ in
            Task {
                try await staged.get()
                return staged.connection.written.value
            }
        }
        let writer = Task { try await staged.write() }
        try await eventually { staged.queue.waiting == 21 }
        staged.connection.answer(10)
        #expect(try await first.value == (1, 0))
        for task in others { #expect(try await task.value == 1) }
        try await writer.value
        try await staged.stop()
    }

    // MARK: Two connections

    @Test("asks on the second connection before it waits for the first")
    func twoConnections() async throws {
        let staged = StagedWorker(connections: 2)
        let tasks = (0..<40).map { _ in Task { try await staged.get() } }
        try await eventually { staged.queue.waiting == 40 }
        try staged.start(isWatched: false)
        try await eventually { staged.connections.allSatisfy { $0.asked.value == 1 } }
        for connection in staged.connections { connection.answer() }
        for task in tasks { try await task.value }
        try await staged.stop()
        #expect(staged.connections.map(\.closed.value) == [1, 1])
    }

    @Test("does not wait for the second connection when the server did not answer on the first")
    func timeout() async throws {
        let staged = StagedWorker(connections: 2)
        let tasks = (0..<40).map { _ in Task { try await staged.get() } }
        try await eventually { staged.queue.waiting == 40 }
        try staged.start(isWatched: false)
        try await eventually { staged.connections.allSatisfy { $0.asked.value == 1 } }
        // The last connection is the first to be taken.
        staged.connections[1].fail(CacheError(.timeout, "no answer"))
        for task in tasks {
            let error = await #expect(throws: CacheError.self) { try await task.value }
            #expect(error?.code == .timeout)
        }
        #expect(staged.connections.map(\.closed.value) == [1, 0])
        for connection in staged.connections { connection.answer() }
        try await staged.get()
        try await staged.stop()
    }

    @Test("that waits for long leaves the gets to others")
    func resigns() async throws {
        let staged = StagedWorker(connections: 2)
        try staged.start(isWatched: false)
        var rounds = WatchdogRounds([staged.worker])
        let waiting = Task { try await staged.get() }
        try await eventually { staged.connections.contains { $0.asked.value == 1 } }
        let others = (0..<20).map { _ in Task { try await staged.get() } }
        try await eventually { staged.queue.waiting == 20 }
        for _ in 1...2 { _ = rounds.look() }
        // It would wait for ever for what is left to the reader.
        let assignment = try #require(staged.queue.take(for: Worker.ID(staged.queue)))
        guard case .gets(let calls) = assignment.work else { throw CacheError(.storeFailure, "no gets") }
        for call in calls { call.finish(.item(nil)) }
        staged.queue.giveBack(assignment.lane)
        for connection in staged.connections { connection.answer(2) }
        try await waiting.value
        for task in others { try await task.value }
        try await staged.stop()
    }

    @Test("that waits for long leaves them to another even when the watchdog slept")
    func resignsToAnother() async throws {
        let connections = (0..<2).map { _ in StagedConnection() }
        let queue = CallQueue(maximumBatch: 1000, lanes: connections.map { Lane($0) })
        let watchdog = Watchdog()
        let workers = (0..<2).map { _ in Worker(queue: queue, watchdog: watchdog) }
        for worker in workers { try worker.start() }
        try BlockingThread.start { watchdog.run(workers) }
        try await eventually { watchdog.sleeps && queue.sleeping == 2 }
        let stuck = Task { try await Call(.get(StoreKey("k")), in: queue).wait() }
        // The last connection is the first to be taken.
        try await eventually { connections[1].asked.value == 1 }
        connections[0].answer(40)
        let others = (0..<40).map { _ in Task { try await Call(.get(StoreKey("k")), in: queue).wait() } }
        for task in others { _ = try await task.value }
        connections[1].answer()
        _ = try await stuck.value
        queue.close()
        try await eventually { workers.allSatisfy(\.hasEnded) }
    }
}
