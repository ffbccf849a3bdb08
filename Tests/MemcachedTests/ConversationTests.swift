import Dispatch
import MintCache
import TestSupport
import Testing

@testable import Memcached

/// A conversation on a connection that answers when the test lets it.
@Suite("A conversation", .serialized, .timeLimit(.minutes(5)))
struct ConversationTests {
    @Test("asks for half of what is open, and for the other half before it waits")
    func halves() async throws {
        let staged = StagedConversation()
        let tasks = (0..<200).map { number in Task { try await staged.get("k\(number)") } }
        try await eventually { staged.queue.waiting == 200 }
        try staged.start(isWatched: false)
        try await eventually { staged.connection.asked.value == 2 }
        #expect(staged.connection.keyCounts == [100, 100])
        staged.connection.answer(2)
        for task in tasks { try await task.value }
        try await staged.stop()
    }

    @Test("asks for no more than its limit at once")
    func limit() async throws {
        let staged = StagedConversation(maximumBatch: 30)
        let tasks = (0..<100).map { number in Task { try await staged.get("k\(number)") } }
        try await eventually { staged.queue.waiting == 100 }
        try staged.start(isWatched: false)
        staged.connection.answer(10)
        for task in tasks { try await task.value }
        #expect(staged.connection.keyCounts.allSatisfy { $0 <= 30 })
        try await staged.stop()
    }

    @Test("asks for what has come before it goes on with tasks, if that is worth an exchange", arguments: [15, 16])
    func asksAhead(count: Int) async throws {
        let staged = StagedConversation()
        try staged.start(isWatched: false)
        let first = try await staged.suspendedGet { staged.connection.asked.value }
        let others = (0..<count).map { number in Task { try await staged.get("k\(number)") } }
        try await eventually { staged.queue.waiting == count }
        staged.connection.answer(2)
        // The first one's task saw whether the others had been asked for.
        #expect(try await first.value == (count == 16 ? 2 : 1))
        for task in others { try await task.value }
        try await staged.stop()
    }

    @Test("does not ask ahead when that would have to wait for a new connection")
    func notOpen() async throws {
        let staged = StagedConversation(isOpen: false)
        try staged.start(isWatched: false)
        let first = try await staged.suspendedGet { staged.connection.asked.value }
        let others = (0..<40).map { number in Task { try await staged.get("k\(number)") } }
        try await eventually { staged.queue.waiting == 40 }
        for _ in 0..<100 { await Task.yield() }
        #expect(staged.connection.asked.value == 1)
        staged.connection.answer(10)
        _ = try await first.value
        for task in others { try await task.value }
        try await staged.stop()
    }

    @Test("goes on with quick tasks on its own thread, unless they are resumed elsewhere", arguments: [true, false])
    func inline(resumesTasks: Bool) async throws {
        let staged = StagedConversation(resumesTasks: resumesTasks)
        try staged.start(isWatched: false)
        // Now and then a task does not: when its thread lost its processor, or it was answered before it was suspended.
        var here = 0
        for _ in 1...50 {
            let task = try await staged.suspendedGet { staged.connection.isUsedHere }
            staged.connection.answer()
            here += try await task.value ? 1 : 0
        }
        if resumesTasks, Call.canResumeTasks { #expect(here > 0) } else { #expect(here == 0) }
        try await staged.stop()
    }

    @Test("fails the calls of an exchange that failed, and no others")
    func failing() async throws {
        let staged = StagedConversation()
        try staged.start(isWatched: false)
        let first = try await staged.suspendedGet {}
        staged.connection.fail(CacheError(.storeFailure, "broken"))
        let error = await #expect(throws: CacheError.self) { try await first.value }
        #expect(error?.code == .storeFailure)
        staged.connection.answer()
        try await staged.get()
        try await staged.stop()
    }

    @Test("probes the server while it is away, and asks nothing; what waited is failed at once")
    func probing() async throws {
        let staged = StagedConversation()
        staged.state.whenOpened { staged.queue.attract() }
        try staged.start(isWatched: false)
        try await eventually { staged.conversation.shift.stretch.work == .none }
        staged.state.fail(CacheError(.unavailable, "nobody listens"), isConnecting: true)
        #expect(staged.state.isOpen)
        try await eventually { staged.connection.probed.value > 0 }
        #expect(staged.connection.asked.value == 0)
        staged.state.succeed()
        staged.connection.answer()
        try await staged.get()
        try await staged.stop()
    }

    @Test("closes its connections when its queue is closed, after what waits in it")
    func ending() async throws {
        let staged = StagedConversation()
        let tasks = (0..<30).map { number in Task { try await staged.get("k\(number)") } }
        try await eventually { staged.queue.waiting == 30 }
        staged.queue.close()
        staged.connection.answer(10)
        try staged.start(isWatched: false)
        for task in tasks { try await task.value }
        try await eventually { staged.conversation.hasEnded }
        #expect(staged.connection.closed.value == 2)
    }

    @Test("that hangs in the library is left behind when its time is over, and another goes on")
    func hanging() async throws {
        let staged = StagedConversation(operationTimeout: .milliseconds(100))
        var rounds = staged.rounds()
        try staged.start(isWatched: false)
        let first = try await staged.suspendedGet {}
        try await eventually { staged.connection.taking.value == 1 }
        let since = Ticks.coarse
        _ = rounds.look(at: since)
        _ = rounds.look(at: since + 90_000_000)
        #expect(staged.connection.asked.value == 1)
        // Its calls fail at their deadline, long before the thread is given up.
        _ = rounds.look(at: since + 120_000_000)
        let error = await #expect(throws: CacheError.self) { try await first.value }
        #expect(error?.code == .timeout)
        #expect(staged.conversation.shift.stretch.work == .library)
        _ = rounds.look(at: since + 160_000_000)
        #expect(staged.conversation.shift.stretch.work == .none)
        let second = Task { try await staged.get() }
        // A new thread asks. Both wait for an answer now, and the old one ends without touching anything.
        try await eventually { staged.connection.asked.value == 2 }
        staged.connection.answer(2)
        try await second.value
        staged.queue.close()
        try await eventually { rounds.areOver }
    }

    @Test("that hangs while it asks ahead leaves no call behind that has its reply")
    func hangingAhead() async throws {
        let staged = StagedConversation(operationTimeout: .milliseconds(100))
        var rounds = staged.rounds()
        try staged.start(isWatched: false)
        let first = try await staged.suspendedGet {}
        let others = (0..<16).map { number in Task { try await staged.get("k\(number)") } }
        try await eventually { staged.queue.waiting == 16 }
        let hang = DispatchSemaphore(value: 0)
        staged.connection.holdAsking(hang)
        staged.connection.answer()
        try await eventually { staged.connection.asked.value == 2 }
        let since = Ticks.coarse
        _ = rounds.look(at: since)
        _ = rounds.look(at: since + 160_000_000)
        // They end, with their replies or at their deadline.
        _ = await first.result
        for task in others { _ = await task.result }
        hang.signal()
        staged.queue.close()
        try await eventually { rounds.areOver }
    }
}
