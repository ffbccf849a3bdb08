import CacheUtils
import Memcached
import MemcachedProcess
import MetricsTestKit
import TestSupport
import Testing

/// What a store counts by swift-metrics.
@Suite("Metrics of a memcached store", .timeLimit(.minutes(5)))
struct MemcachedMetricsTests {
    @Test("are how long operations take, by OpenTelemetry's names, and how the servers are")
    func operations() async throws {
        let metrics = TestMetrics()
        let server = try MemcachedProcess()
        defer { server.stop() }
        var instrumentation = MemcachedInstrumentation.none
        instrumentation.metrics = MemcachedMetrics(factory: metrics)
        let store = try MemcachedStore(
            servers: [server.address], configuration: .init(operationTimeout: .milliseconds(200)),
            instrumentation: instrumentation)
        let place = [("server.address", "127.0.0.1"), ("server.port", "\(server.port)")]
        func timings(_ operation: String, error: String? = nil) -> Int {
            let timer = try? metrics.expectTimer(
                "db.client.operation.duration",
                [("db.system.name", "memcached")] + place + [("db.operation.name", operation)]
                    + (error.map { [("error.type", $0)] } ?? []))
            return timer?.values.count ?? 0
        }

        let key = try StoreKey("k")
        try await store.set(key, value: [1], expiry: nil)
        let item = try #require(try await store.get(key))
        _ = try await store.get([key, StoreKey("l")])
        _ = try await store.compareAndSwap(key, expecting: item.cas, value: [2], expiry: nil)
        _ = try await store.add(key, value: [3], expiry: nil)
        _ = try await store.delete(key)
        _ = await store.writeUnique([UniqueValue(key, value: [4], over: nil)])
        #expect(timings("set") == 1)
        #expect(timings("get") == 2)
        #expect(timings("cas") == 1)
        #expect(timings("add") == 2)
        #expect(timings("delete") == 1)
        let batches = try metrics.expectRecorder("memcached.client.batch.size", place)
        #expect(batches.values.allSatisfy { $0 >= 1 } && !batches.values.isEmpty)
        try await eventually {
            try metrics.expectRecorder("memcached.client.available", place).lastValue == 1
                && metrics.expectRecorder("memcached.client.waiting", place).lastValue != nil
        }
        server.suspend()
        _ = try? await store.get(key)
        #expect(timings("get", error: "timeout") == 1)
        server.resume()
    }
}
