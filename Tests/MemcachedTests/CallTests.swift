import MintCache
import Synchronization
import TestSupport
import Testing

@testable import Memcached

/// The queue and its calls, with the test in the place of the thread.
@Suite("Calls that wait for a server", .timeLimit(.minutes(5)))
struct CallTests {
    private let key = StoreKey(trusted: [0x6B])

    private func get(_ queue: CallQueue) -> Task<StoreItem?, any Error> {
        Task {
            guard case .item(let item) = try await Call(.get(key), in: queue).wait() else { return nil }
            return item
        }
    }

    private func item(_ number: UInt64) throws -> StoreItem {
        StoreItem(value: [1], cas: try #require(StoreItem.CAS(rawValue: number)))
    }

    @Test("are answered each with its own reply, resumed here or elsewhere", arguments: [true, false])
    func replies(resumesTasks: Bool) async throws {
        let queue = CallQueue(limit: 10, resumesTasks: resumesTasks)
        let tasks = [get(queue), get(queue)]
        try await eventually { queue.waiting == 2 }
        for call in queue.takeAll() { call.finish(.item(try item(1))) }
        for task in tasks { #expect(try await task.value?.cas.rawValue == 1) }
    }

    @Test(
        "that are cancelled end at once, in the queue or in flight, and leave the others alone",
        arguments: [true, false])
    func cancellation(resumesTasks: Bool) async throws {
        let queue = CallQueue(limit: 10, resumesTasks: resumesTasks)
        let (queued, patient) = (get(queue), get(queue))
        try await eventually { queue.waiting == 2 }
        queued.cancel()
        await #expect(throws: CancellationError.self) { try await queued.value }
        #expect(queue.waiting == 1)
        let inFlight = get(queue)
        try await eventually { queue.waiting == 2 }
        let calls = queue.takeAll()
        inFlight.cancel()
        await #expect(throws: CancellationError.self) { try await inFlight.value }
        for call in calls { call.finish(.item(try item(2))) }
        #expect(try await patient.value?.cas.rawValue == 2)
    }

    @Test("made by a cancelled task are never queued", arguments: [true, false])
    func cancelledBefore(resumesTasks: Bool) async throws {
        let queue = CallQueue(limit: 10, resumesTasks: resumesTasks)
        let gate = Gate()
        let task = Task {
            try? await gate.pass()
            _ = try await Call(.get(key), in: queue).wait()
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(queue.waiting == 0)
    }

    @Test("expire while another thread has them, and its reply is dropped", arguments: [true, false])
    func expiry(resumesTasks: Bool) async throws {
        let queue = CallQueue(limit: 10, resumesTasks: resumesTasks)
        let task = get(queue)
        try await eventually { queue.waiting == 1 }
        let calls = queue.takeAll()
        calls[0].prepare(.item(try item(1)))
        let error = CacheError(.timeout, "no answer")
        queue.expire(before: .max, error) { for call in calls { call.expire(error) } }
        calls[0].finish()
        let thrown = await #expect(throws: CacheError.self) { try await task.value }
        #expect(thrown?.code == .timeout)
    }

    @Test("and are old expire, while the younger ones wait on")
    func oldOnes() async throws {
        let queue = CallQueue(limit: 10, resumesTasks: true)
        let old = get(queue)
        try await eventually { queue.waiting == 1 }
        let time = Ticks.now
        try await eventually { Ticks.coarse > time }
        let young = get(queue)
        try await eventually { queue.waiting == 2 }
        queue.expire(before: time, CacheError(.timeout, "no answer")) {}
        await #expect(throws: CacheError.self) { try await old.value }
        #expect(queue.waiting == 1)
        for call in queue.takeAll() { call.finish(.item(nil)) }
        #expect(try await young.value == nil)
    }

    @Test("are refused by a closed queue, which still gives out what waits in it")
    func closing() async throws {
        let queue = CallQueue(limit: 10, resumesTasks: true)
        let early = get(queue)
        try await eventually { queue.waiting == 1 }
        queue.close()
        let error = await #expect(throws: CacheError.self) { try await get(queue).value }
        #expect(error?.code == .shutDown)
        #expect(queue.wait() == .calls)
        for call in queue.takeAll() { call.finish(.item(nil)) }
        #expect(try await early.value == nil)
        #expect(queue.wait() == .closed)
    }

    @Test("are refused when too many wait, until some have been taken")
    func limit() async throws {
        let queue = CallQueue(limit: 3, resumesTasks: true)
        let tasks = (0..<3).map { _ in get(queue) }
        try await eventually { queue.waiting == 3 }
        let error = await #expect(throws: CacheError.self) { try await get(queue).value }
        #expect(error?.code == .overloaded)
        for call in queue.takeAll() { call.finish(.item(nil)) }
        for task in tasks { _ = try await task.value }
        let next = get(queue)
        try await eventually { queue.waiting == 1 }
        queue.failAll(CacheError(.unavailable, "away"))
        let failure = await #expect(throws: CacheError.self) { try await next.value }
        #expect(failure?.code == .unavailable)
        #expect(queue.isEmpty)
    }

    @Test("wake the thread that sleeps, as does what wants its attention")
    func waking() async throws {
        let queue = CallQueue(limit: 10, resumesTasks: true)
        let events = EventLog()
        try BlockingThread.start {
            while true {
                let event = queue.wait()
                for call in queue.takeAll() { call.finish(.item(nil)) }
                events.note(event)
                if event == .closed { return }
            }
        }
        for number in 1...200 {
            _ = try await get(queue).value
            if number.isMultiple(of: 50) {
                queue.attract()
                try await eventually { events.count(.attention) == number / 50 }
            }
        }
        queue.close()
        try await eventually { events.count(.closed) == 1 }
        #expect(queue.wait(atMost: 0) == .closed)
    }

    @Test("a thread that waits for a time only wakes when it is over")
    func timedWait() {
        let queue = CallQueue(limit: 10, resumesTasks: true)
        for _ in 1...3 { #expect(queue.wait(atMost: 1_000_000) == .attention) }
    }
}

private final class EventLog: Sendable {
    private let events = Counter()
    private let attention = Counter()
    private let closed = Counter()

    func note(_ event: CallQueue.Event) {
        switch event {
        case .calls: events.increment()
        case .attention: attention.increment()
        case .closed: closed.increment()
        }
    }

    func count(_ event: CallQueue.Event) -> Int {
        switch event {
        case .calls: events.value
        case .attention: attention.value
        case .closed: closed.value
        }
    }
}
