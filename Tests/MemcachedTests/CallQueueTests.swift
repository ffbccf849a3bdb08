import MintCache
import TestSupport
import Testing

@testable import Memcached

/// What workers are given, with the test in the place of one of them.
@Suite("A queue", .timeLimit(.minutes(2)))
struct CallQueueTests {
    private final class Somebody: Sendable {}

    private let one = Somebody()
    private let other = Somebody()
    private var worker: Worker.ID { Worker.ID(one) }
    private let queue = CallQueue(maximumBatch: 1000, lanes: (0..<2).map { _ in Lane(StagedConnection()) })

    private func push(gets count: Int) {
        for _ in 0..<count {
            Task { [queue] in try await Call(.get(StoreKey("k")), in: queue).wait() }
        }
    }

    /// Queues gets that nobody takes at once.
    private func queue(gets count: Int) async throws {
        let before = queue.waiting
        push(gets: count)
        try await eventually { queue.waiting == before + count }
    }

    private func queueWrite() {
        Task { [queue] in try await Call(.write(.delete(StoreKey("k"))), in: queue).wait() }
    }

    /// How many gets it is; 0 for a write and for nothing.
    private func gets(_ assignment: Taken?) -> Int {
        guard case .gets(let calls) = assignment?.work else { return 0 }
        return calls.count
    }

    private func seeker(lanes: Int, underWay: Int = 0, inHand: Int = 0) -> CallQueue.Seeker {
        CallQueue.Seeker(worker: worker, lanesAsked: lanes, underWay: underWay, inHand: inHand)
    }

    /// Lets another worker look for work, on a thread of its own, and counts what it does.
    private func another(_ gets: Counter, _ writes: Counter) throws {
        try BlockingThread.start { [queue, other] in
            while let assignment = queue.take(for: Worker.ID(other)) {
                switch assignment.work {
                case .gets(let calls): for _ in calls { gets.increment() }
                case .write: writes.increment()
                }
                queue.giveBack(assignment.lane)
            }
        }
    }

    // MARK: One reader

    @Test("gives a worker the half of what waits, and the other on the connection that nobody uses")
    func halves() async throws {
        try await queue(gets: 100)
        let first = try #require(queue.take(for: worker))
        #expect(gets(first) == 50)
        let second = try #require(queue.takeGets(for: seeker(lanes: 1, underWay: 50)))
        #expect(gets(second) == 50)
        #expect(second.lane !== first.lane)
        #expect(queue.takeSpare() == nil)
    }

    @Test("keeps the halves even when they were not", arguments: [(200, 56), (56, 200)])
    func balance(underWay: Int, waiting: Int) async throws {
        try await queue(gets: waiting)
        #expect(gets(queue.takeGets(for: seeker(lanes: 1, underWay: underWay))) == min(waiting, 128))
    }

    @Test(
        "gives a worker that goes on with tasks enough for the server to do",
        arguments: [(0, 15, 0), (0, 16, 16), (1, 999, 0), (1, 1000, 1000)])
    func enough(lanes: Int, waiting: Int, expected: Int) async throws {
        try await queue(gets: waiting)
        var seeker = seeker(lanes: lanes, underWay: lanes * 1000, inHand: 1)
        seeker.lane = queue.takeSpare()
        #expect(gets(queue.takeGets(for: seeker)) == expected)
    }

    @Test("leaves gets that are many to the reader, and writes and gets that are few to others")
    func leaves() async throws {
        try await queue(gets: 1)
        let assignment = try #require(queue.take(for: worker))
        let (gets, writes) = (Counter(), Counter())
        try another(gets, writes)
        push(gets: 1)
        try await eventually { gets.value == 1 && queue.sleeping == 1 }
        // While it is looked for them they are left, so that all of these are queued before anybody sees them.
        queue.willLook()
        try await queue(gets: 20)
        queue.looks()
        queueWrite()
        try await eventually { writes.value == 1 && queue.sleeping == 1 }
        #expect(gets.value == 1)
        var seeker = seeker(lanes: 0, inHand: 1)
        seeker.lane = assignment.lane
        #expect(self.gets(queue.takeGets(for: seeker)) == 16)
        queue.resign(worker)
        try await eventually { gets.value == 5 }
        queue.close()
    }

    @Test("wakes nobody for gets that somebody is going to look for, unless that does not happen")
    func looking() async throws {
        let (gets, writes) = (Counter(), Counter())
        try another(gets, writes)
        push(gets: 1)
        try await eventually { gets.value == 1 && queue.sleeping == 1 }
        queue.willLook()
        try await queue(gets: 5)
        for _ in 0..<100 { await Task.yield() }
        #expect(gets.value == 1)
        queue.doesNotLook()
        try await eventually { gets.value == 6 }
        queue.close()
    }

    // MARK: Several

    @Test("gives each worker one connection when it is shared, and all that waits")
    func shared() async throws {
        queue.isShared = true
        try await queue(gets: 100)
        #expect(gets(queue.take(for: worker)) == 100)
        try await queue(gets: 100)
        #expect(queue.takeGets(for: seeker(lanes: 1, underWay: 100)) == nil)
        var equipped = seeker(lanes: 1, underWay: 100)
        equipped.lane = queue.takeSpare()
        #expect(queue.takeGets(for: equipped) == nil)
        #expect(gets(queue.take(for: Worker.ID(other))) == 100)
    }

    /// Lets so many gets wait at once, and takes them.
    private func take(_ count: Int, from queue: CallQueue) async throws {
        for _ in 0..<count { Task { try await Call(.get(StoreKey("k")), in: queue).wait() } }
        try await eventually { queue.waiting == count }
        while queue.waiting > 0 { queue.giveBack(try #require(queue.take(for: worker)).lane) }
    }

    @Test("is worth sharing where tasks take most of the time and many gets waited, until few have for two notes")
    func worthSharing() async throws {
        for (count, isWorthSharing) in [(95, false), (96, true)] {
            let queue = CallQueue(maximumBatch: 1000, lanes: [Lane(StagedConnection())])
            try await take(count, from: queue)
            queue.note(tasksTakeMost: true, at: 0)
            #expect(queue.isWorthSharing == isWorthSharing)
            try await take(96, from: queue)
            queue.note(tasksTakeMost: true, at: 0)
            queue.note(tasksTakeMost: true, at: 0)
            #expect(queue.isWorthSharing, "another worker's note does not count as time in which nothing waited")
            try await take(72, from: queue)
            queue.note(tasksTakeMost: true, at: 0)
            #expect(queue.isWorthSharing)
            for _ in 1...2 {
                try await take(71, from: queue)
                queue.note(tasksTakeMost: true, at: 0)
            }
            #expect(!queue.isWorthSharing)
            try await take(96, from: queue)
            queue.note(tasksTakeMost: false, at: 0)
            #expect(!queue.isWorthSharing)
        }
    }

    @Test("is shared on trial where that is worth it, and no longer")
    func sharedOnTrial() async throws {
        let queue = CallQueue(maximumBatch: 1000, lanes: [Lane(StagedConnection())])
        for epoch in 0...UInt64(SharingTrial.patience.lowerBound) {
            #expect(!queue.isShared)
            try await take(100, from: queue)
            queue.note(tasksTakeMost: true, at: 1 + epoch * SharingTrial.epoch)
        }
        #expect(queue.isShared)
        queue.note(tasksTakeMost: false, at: 1_000_000_000)
        #expect(!queue.isShared)
    }

    @Test("lets a worker without a connection wait for one")
    func noConnection() async throws {
        let lanes = [queue.takeSpare(), queue.takeSpare()]
        let (gets, writes) = (Counter(), Counter())
        try another(gets, writes)
        try await queue(gets: 1)
        try await eventually { queue.sleeping == 1 }
        #expect(gets.value == 0)
        queue.giveBack(try #require(lanes[0]))
        try await eventually { gets.value == 1 }
        queue.close()
    }

    @Test("wakes a worker for a write on a connection that is given back, even if somebody is going to look")
    func writeHandedOver() async throws {
        let lanes = [queue.takeSpare(), queue.takeSpare()]
        let (gets, writes) = (Counter(), Counter())
        try another(gets, writes)
        queueWrite()
        try await eventually { queue.waiting == 1 && queue.sleeping == 1 }
        queue.willLook()
        queue.giveBack(try #require(lanes[0]))
        try await eventually { writes.value == 1 }
        queue.looks()
        queue.close()
    }

    @Test("does not give out gets that were all cancelled")
    func cancelled() async throws {
        let task = Task { [queue] in try await Call(.get(StoreKey("k")), in: queue).wait() }
        try await eventually { queue.waiting == 1 }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(queue.takeGets(for: seeker(lanes: 0)) == nil)
        queue.close()
        #expect(queue.take(for: worker) == nil)
    }
}
