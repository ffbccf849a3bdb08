import CacheUtils
import CallCounter
import Memcached
import MemcachedProcess
import TestSupport
import Testing

/// Costs that are counted in all threads of a process, and so each in a process of its own.
@Suite("Calls into the C library", .enabled(if: call_counter_works(), "needs glibc, and no sanitizer"))
struct CallCountTests {
    /// In release it is at most four, which `make bench` counts and `.ci/run` checks; a debug build allocates more,
    /// for closures that an optimised one has not.
    @Test("an in-memory hit of a debug build allocates at most 25 times")
    func allocationsPerHit() async {
        await #expect(processExitsWith: .success) {
            let text = String(repeating: "x", count: 100)
            let cached = Cache(store: InMemoryStore(), namespace: "cost")
                .cached("text", ttl: .seconds(60)) { (_: Int) in text }
            for number in 0..<100 { _ = try await cached(number) }
            try await eventuallyIdle { try await cached.peek(99) != nil }
            call_counter_start()
            for number in 0..<1000 { _ = try await cached(number % 100) }
            let counts = call_counter_stop()
            #expect(counts.allocations > 0, "nothing is counted")
            #expect(counts.allocations <= 25 * 1000, "\(counts.allocations) allocations for 1,000 hits")
        }
    }

    @Test("a batch is one send, receives of at least four kilobytes on average, and no more polls than receives")
    func systemCallsPerBatch() async {
        await #expect(processExitsWith: .success) {
            let server = try MemcachedProcess()
            defer { server.stop() }
            let store = try MemcachedStore(servers: [server.address])
            let keys = try (0..<100).map { try StoreKey("key:\($0)") }
            for key in keys { try await store.set(key, value: [UInt8](repeating: 1, count: 500), expiry: nil) }
            _ = try await store.get(keys)
            call_counter_start()
            for _ in 0..<10 { _ = try await store.get(keys) }
            let counts = call_counter_stop()
            #expect(counts.sends == 10, "\(counts.sends) sends for 10 batches")
            // 100 × 540 bytes; libmemcached reads at most 8 KB at once.
            #expect(counts.receives <= 10 * 100 * 540 / 4096, "\(counts.receives) receives for 10 batches")
            // Only when there is nothing to receive yet.
            #expect(counts.polls <= counts.receives, "\(counts.polls) polls for \(counts.receives) receives")
            await store.shutdown()
        }
    }

    @Test(
        "10,000 gets that wait for a server all get their answers, and each takes less than 4 KB meanwhile, its task included"
    )
    func waitingTasks() async {
        await #expect(processExitsWith: .success) {
            let number = 10_000
            let server = try MemcachedProcess()
            defer { server.stop() }
            let store = try MemcachedStore(
                servers: [server.address], configuration: .init(operationTimeout: .seconds(60)))
            let key = try StoreKey("key")
            try await store.set(key, value: [1], expiry: nil)
            server.suspend()
            let before = call_counter_heap_in_use()
            let tasks = (0..<number).map { _ in Task { try await store.get(key)?.bytes } }
            // All but the two batches that were sent.
            try await eventually { store.waiting >= number - 2 * MemcachedStore.Configuration().maximumBatch }
            let bytes = (call_counter_heap_in_use() - before) / number
            #expect(bytes < 4096, "\(bytes) bytes for each waiting task")
            server.resume()
            for task in tasks { #expect(try await task.value == [1]) }
            await store.shutdown()
        }
    }
}

/// Waits until something is so, and all that was begun in the background has had a chance to end.
private func eventuallyIdle(_ condition: () async throws -> Bool) async throws {
    try await eventually(condition)
    for _ in 0..<1000 { await Task.yield() }
}
