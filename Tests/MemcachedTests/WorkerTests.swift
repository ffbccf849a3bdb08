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
        staged.connection.answer(2)
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
        staged.connection.answer(2)
        #expect(try await first.value == (1, 0))
        for task in others { #expect(try await task.value == 1) }
        try await writer.value
        try await staged.stop()
    }
}
