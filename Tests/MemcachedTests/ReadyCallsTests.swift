import Dispatch
import Foundation
import MintCache
import Synchronization
import TestSupport
import Testing

@testable import Memcached

/// What becomes of the tasks whose calls were answered together, with the test in the place of the thread.
@Suite("Calls that were answered together", .enabled(if: Call.canResumeTasks))
struct ReadyCallsTests {
    private let key = StoreKey(trusted: [0x6B])
    private let queue = CallQueue(limit: 10_000, resumesTasks: true)

    /// Waits until so many gets are queued, and answers each with its place as the CAS id, all at once.
    private func answer(_ count: Int) async throws {
        try await eventually { queue.waiting == count }
        let calls = queue.takeAll()
        for (place, call) in calls.enumerated() { call.prepare(.item(try item(UInt64(place + 1)))) }
        ReadyCalls.leaveAllButMostUrgent(of: CallList(calls))?.leave()
    }

    private func item(_ number: UInt64) throws -> StoreItem {
        StoreItem(value: [], cas: try #require(StoreItem.CAS(rawValue: number)))
    }

    private func get() async throws -> UInt64? {
        guard case .item(let item) = try await Call(.get(key), in: queue).wait() else { return nil }
        return item?.cas.rawValue
    }

    @Test("each have their own answer, few or many", arguments: [1, 4, 5, 300])
    func answers(count: Int) async throws {
        let tasks = (0..<count).map { _ in Task { try await get() } }
        try await answer(count)
        var places: Set<UInt64> = []
        for task in tasks { places.insert(try #require(try await task.value)) }
        #expect(places.count == count)
    }

    @Test("and cancelled among them leave the others alone")
    func cancellation() async throws {
        let tasks = (0..<50).map { _ in Task { try await get() } }
        try await eventually { queue.waiting == 50 }
        let calls = queue.takeAll()
        for task in tasks.prefix(25) { task.cancel() }
        for call in calls { call.prepare(.item(nil)) }
        ReadyCalls.leaveAllButMostUrgent(of: CallList(calls))?.leave()
        for task in tasks.prefix(25) { await #expect(throws: CancellationError.self) { try await task.value } }
        for task in tasks.dropFirst(25) { #expect(try await task.value == nil) }
    }

    @Test("may be answered before their tasks wait")
    func earlyAnswer() async throws {
        let call = Call(.get(key), in: queue)
        call.finish(.item(try item(7)))
        guard case .item(let item) = try await call.wait() else { throw CacheError(.storeFailure, "no item") }
        #expect(item?.cas.rawValue == 7)
        #expect(queue.waiting == 0)
    }

    // MARK: How long they may keep a thread

    /// A clock whose times go on by so many nanoseconds at each look.
    private func clock(time: UInt64, processorTime: UInt64) -> ThreadClock {
        let looks = (Counter(), Counter())
        return ThreadClock(
            time: { UInt64(looks.0.increment()) * time },
            processorTime: { UInt64(looks.1.increment()) * processorTime })
    }

    /// How many of 40 tasks go on where they were answered, and for how long they kept the thread.
    private func run(_ clock: ThreadClock) async throws -> (count: Int, slow: UInt64?) {
        let (thread, here) = (DispatchSpecificKey<Bool>(), Counter())
        let worker = DispatchQueue(label: "thread")
        worker.setSpecific(key: thread, value: true)
        let tasks = (0..<40).map { _ in
            Task {
                _ = try await get()
                if DispatchQueue.getSpecific(key: thread) == true { here.increment() }
            }
        }
        try await eventually { queue.waiting == 40 }
        let calls = queue.takeAll()
        for call in calls { call.prepare(.item(nil)) }
        let slow = await withCheckedContinuation { (continuation: CheckedContinuation<UInt64?, Never>) in
            worker.async {
                continuation.resume(returning: ReadyCalls.leaveAllButMostUrgent(of: CallList(calls))?.runHere(clock))
            }
        }
        for task in tasks { try await task.value }
        return (here.value, slow)
    }

    @Test("keep the thread that answered them while they are quick")
    func quick() async throws {
        #expect(try await run(clock(time: 10_000, processorTime: 0)) == (40, nil))
    }

    @Test("keep it when time passed because it was without a processor")
    func preempted() async throws {
        #expect(try await run(clock(time: 1_000_000, processorTime: 1000)) == (40, nil))
    }

    @Test("leave it when they are not quick, and all go on all the same")
    func slow() async throws {
        #expect(try await run(clock(time: 1_000_000, processorTime: 50_000)) == (1, 50_000))
        // They have 20 µs, and 8 µs each: the first one is within that, the second one is not.
        #expect(try await run(clock(time: 1_000_000, processorTime: 19_000)) == (2, 38_000))
    }
}
