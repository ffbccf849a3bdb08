import MintCache
import TestSupport
import Testing

@testable import Memcached

/// The queue and its calls, with the test in the place of the worker.
@Suite("Calls that wait for a server")
struct CallTests {
    private let key = StoreKey(trusted: [0x6B])

    private func get(_ queue: CallQueue) -> Task<StoreItem?, any Error> {
        Task {
            guard case .item(let item) = try await Call(.get(key), in: queue).wait() else { return nil }
            return item
        }
    }

    /// Waits until so many gets are queued, and takes them as a worker does.
    private func take(_ count: Int, from queue: CallQueue) async throws -> [Call] {
        var calls: [Call] = []
        try await eventually {
            if queue.waiting > 0, case .gets(let batch) = queue.take()?.work { calls += batch }
            return calls.count >= count
        }
        return calls
    }

    private func item(_ number: UInt64) throws -> StoreItem {
        StoreItem(value: [1], cas: try #require(StoreItem.CAS(rawValue: number)))
    }

    @Test("are answered each with its own answer")
    func answers() async throws {
        let queue = CallQueue(maximumBatch: 100)
        let tasks = [get(queue), get(queue)]
        let calls = try await take(2, from: queue)
        for call in calls { call.finish(.item(try item(1))) }
        for task in tasks { #expect(try await task.value?.cas.rawValue == 1) }
    }

    @Test("leave in batches of at most so many")
    func batches() async throws {
        let queue = CallQueue(maximumBatch: 10)
        let tasks = (0..<25).map { _ in get(queue) }
        try await eventually { queue.waiting == 25 }
        var sizes: [Int] = []
        while queue.waiting > 0, case .gets(let batch) = queue.take()?.work {
            sizes.append(batch.count)
            for call in batch { call.finish(.item(nil)) }
        }
        #expect(sizes == [10, 10, 5])
        for task in tasks { #expect(try await task.value == nil) }
    }

    @Test("that are cancelled end at once, in the queue or in flight, and leave the others alone")
    func cancellation() async throws {
        let queue = CallQueue(maximumBatch: 100)
        let (queued, patient) = (get(queue), get(queue))
        try await eventually { queue.waiting == 2 }
        queued.cancel()
        await #expect(throws: CancellationError.self) { try await queued.value }
        let inFlight = get(queue)
        let calls = try await take(2, from: queue)
        #expect(calls.count == 2)
        inFlight.cancel()
        await #expect(throws: CancellationError.self) { try await inFlight.value }
        for call in calls { call.finish(.item(try item(2))) }
        #expect(try await patient.value?.cas.rawValue == 2)
    }

    @Test("made by a cancelled task are never queued")
    func cancelledBefore() async throws {
        let queue = CallQueue(maximumBatch: 100)
        let gate = Gate()
        let task = Task {
            try? await gate.pass()
            _ = try await Call(.get(key), in: queue).wait()
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        queue.close()
        #expect(queue.take() == nil)
    }

    @Test("take turns: reads do not keep a write waiting for ever, nor the other way round")
    func turns() async throws {
        let queue = CallQueue(maximumBatch: 1)
        let gets = (0..<3).map { _ in get(queue) }
        let writes = (0..<3).map { _ in
            Task { try await Call(.write(.delete(key)), in: queue).wait() }
        }
        try await eventually { queue.waiting == 6 }
        var order = ""
        while queue.waiting > 0 {
            switch queue.take()?.work {
            case .gets(let batch):
                order += "r"
                for call in batch { call.finish(.item(nil)) }
            case .write(let call, _):
                order += "w"
                call.finish(.written(true))
            case nil: break
            }
        }
        #expect(order == "rwrwrw")
        for task in gets { _ = try await task.value }
        for task in writes { _ = try await task.value }
    }

    @Test("fail together when the server did not answer, but for those that came while it was asked")
    func failing() async throws {
        let queue = CallQueue(maximumBatch: 2)
        let tasks = (0..<5).map { _ in get(queue) }
        try await eventually { queue.waiting == 5 }
        let assignment = try #require(queue.take())
        guard case .gets(let asked) = assignment.work else { throw CacheError(.storeFailure, "no gets") }
        let late = get(queue)
        try await eventually { queue.waiting == 4 }
        let error = CacheError(.timeout, "no answer")
        for call in asked { call.finish(.failure(error)) }
        queue.fail(through: assignment.drain, error)
        for task in tasks {
            let error = await #expect(throws: CacheError.self) { try await task.value }
            #expect(error?.code == .timeout)
        }
        #expect(queue.waiting == 1)
        for call in try await take(1, from: queue) { call.finish(.item(nil)) }
        #expect(try await late.value == nil)
    }

    @Test("are refused by a closed queue, which still gives out what waits in it")
    func closing() async throws {
        let queue = CallQueue(maximumBatch: 10)
        let early = get(queue)
        try await eventually { queue.waiting == 1 }
        queue.close()
        let error = await #expect(throws: CacheError.self) { try await get(queue).value }
        #expect(error?.code == .shutDown)
        for call in try await take(1, from: queue) { call.finish(.item(nil)) }
        #expect(try await early.value == nil)
        #expect(queue.take() == nil)
    }
}
