import Foundation
import TestSupport
import Testing

@testable import Memcached

/// Tasks that keep their threads until others have gone on. One test after the other: the global executor may have two
/// threads only, and one of them has to be free.
@Suite("A task that keeps its thread", .serialized, .enabled(if: Call.canResumeTasks), .timeLimit(.minutes(5)))
struct BusyTaskTests {
    private let staged = StagedConversation()

    // MARK: On the global executor

    /// Waits until so many gets are queued, and leaves their tasks to the global executor, with the test in the place
    /// of the thread.
    private func leave(_ count: Int) async throws {
        try await eventually { staged.queue.waiting == count }
        let calls = staged.queue.takeAll()
        for call in calls { call.prepare(.item(nil)) }
        ReadyCalls.leaveAllButMostUrgent(of: CallList(calls))?.leave()
    }

    @Test(
        "does not hold up those that were answered with it",
        .enabled(if: ProcessInfo.processInfo.activeProcessorCount > 1))
    func busyTask() async throws {
        let others = Counter()
        let tasks = (0..<40).map { number in
            Task {
                try await staged.get()
                if others.increment() > 1 { return }
                // The first one that goes on keeps its thread until all others have gone on.
                while others.value < 40 {}
            }
        }
        try await leave(40)
        for task in tasks { try await task.value }
        #expect(others.value == 40)
    }

    @Test("does not hold up those that are more urgent")
    func priorities() async throws {
        let gone = Counter()
        let others = (0..<40).map { _ in
            Task(priority: .background) {
                try await staged.get()
                // They keep their threads until the urgent one has gone on, which came after them.
                while gone.value == 0 {}
            }
        }
        try await eventually { staged.queue.waiting == 40 }
        let urgent = Task(priority: .high) {
            try await staged.get()
            gone.increment()
        }
        try await leave(41)
        try await urgent.value
        for task in others { try await task.value }
    }

    // MARK: On a worker's thread

    /// Starts a task that keeps the worker's thread until so many others have been counted.
    private func keeper(until others: Counter, are count: Int = 1) async throws -> Task<Void, any Error> {
        let keeps = Counter()
        let keeper = try await staged.suspendedGet {
            keeps.increment()
            while others.value < count {}
        }
        staged.connection.answer()
        try await eventually { keeps.value == 1 }
        return keeper
    }

    @Test("loses the connection, so that calls are answered all the same")
    func relieved() async throws {
        try staged.start(isWatched: true)
        let others = Counter()
        let keeper = try await keeper(until: others, are: 20)
        staged.connection.answer(20)
        for _ in 1...20 {
            try await staged.get()
            others.increment()
        }
        try await keeper.value
        try await staged.stop()
    }

    @Test("loses those that were answered with it, which go on elsewhere")
    func relievedBatch() async throws {
        try staged.start(isWatched: true)
        // The first get keeps the worker busy until the others have come.
        let first = Task { try await staged.get("first") }
        try await eventually { staged.connection.asked.value == 1 }
        let gone = Counter()
        let tasks = (0..<40).map { _ in
            Task {
                try await staged.get()
                // Whoever goes on first keeps the thread until all have gone on.
                if gone.increment() == 1 { while gone.value < 40 {} }
            }
        }
        try await eventually { staged.queue.waiting == 40 }
        staged.connection.answer(10)
        try await first.value
        for task in tasks { try await task.value }
        try await staged.stop()
    }

    @Test("does not keep the worker from ending")
    func ending() async throws {
        try staged.start(isWatched: true)
        let ended = Counter()
        let keeper = try await keeper(until: ended)
        try await staged.stop()
        ended.increment()
        try await keeper.value
    }

    @Test("is found out by a timekeeper that slept")
    func asleep() async throws {
        try staged.start(isWatched: true)
        try await eventually { staged.timekeeper.sleeps }
        let others = Counter()
        let keeper = try await keeper(until: others)
        staged.connection.answer()
        try await staged.get()
        others.increment()
        try await keeper.value
        try await staged.stop()
    }

    @Test("loses the answers to what was asked before it went on")
    func asked() async throws {
        try staged.start(isWatched: false)
        var rounds = staged.rounds()
        let gone = Counter()
        let keeper = try await staged.suspendedGet { while gone.value < 16 {} }
        let others = (0..<16).map { _ in
            Task {
                try await staged.get()
                gone.increment()
            }
        }
        try await eventually { staged.queue.waiting == 16 }
        staged.connection.answer(2)
        try await eventually { staged.conversation.shift.stretch.work == .tasks }
        #expect(staged.connection.asked.value == 2)
        for _ in 1...2 { _ = rounds.look(at: 1) }
        for task in others { try await task.value }
        try await keeper.value
        try await staged.stop()
    }

    @Test("is found out at the second look")
    func looks() async throws {
        // No timekeeper: the test looks itself.
        try staged.start(isWatched: false)
        var rounds = staged.rounds()
        _ = rounds.look(at: 1)
        let isQuiet = rounds.look(at: 1)
        #expect(isQuiet)
        let others = Counter()
        let keeper = try await keeper(until: others)
        staged.connection.answer()
        let kept = staged.conversation.shift.stretch
        #expect(kept.work == .tasks)
        let firstIsQuiet = rounds.look(at: 1)
        #expect(!firstIsQuiet && staged.conversation.shift.stretch == kept)
        let secondIsQuiet = rounds.look(at: 1)
        #expect(
            !secondIsQuiet && staged.conversation.shift.stretch != kept
                && staged.conversation.shift.stretch.work != .tasks)
        // While it is still there, no other task gets the thread that took over.
        let isInline = Task {
            try await staged.get()
            return staged.connection.isUsedHere
        }
        #expect(try await !isInline.value)
        others.increment()
        try await keeper.value
        try await staged.stop()
        #expect(rounds.areOver)
    }
}
