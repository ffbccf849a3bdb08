#if Tracing
import CacheUtils
import InMemoryTracing
import Memcached
import MemcachedProcess
import TestSupport
import Testing
import Tracing

/// The spans of a cache and of its store by swift-distributed-tracing.
@Suite("Spans", .timeLimit(.minutes(5)))
struct TracingTests {
    private struct Broken: Error {}

    private let tracer = InMemoryTracer()

    private func cache(on store: any CacheStore, _ clock: any CacheClock = SystemClock()) -> Cache {
        var instrumentation = CacheInstrumentation.none
        instrumentation.tracing = CacheTracing(tracer: tracer)
        return Cache(store: store, namespace: "shop", clock: clock, instrumentation: instrumentation)
    }

    private func names() -> [String] { tracer.popFinishedSpans().map(\.operationName) }

    @Test("are one for a load, a child of the call's, and none for a hit in memory")
    func loads() async throws {
        let cache = cache(on: InMemoryStore())
        let city = cache.cached("city", ttl: .seconds(60)) { [tracer] (slug: String) in
            tracer.withSpan("SELECT") { _ in slug }
        }
        try await tracer.withSpan("request") { _ in _ = try await city("paris") }
        await cache.drain()
        let spans = tracer.popFinishedSpans()
        #expect(spans.map(\.operationName) == ["SELECT", "cache.load", "request"])
        #expect(Set(spans.map(\.traceID)).count == 1)
        #expect(spans[0].parentSpanID == spans[1].spanID && spans[1].parentSpanID == spans[2].spanID)
        #expect(spans[1].attributes.get("cache.function") == .string("city"))
        #expect(spans[1].attributes.get("cache.namespace") == .string("shop"))
        // Never an argument.
        #expect(!"\(spans[1].attributes)".contains("paris"))
        _ = try await city("paris")
        #expect(names() == [])
    }

    @Test("of a load that fails have its error")
    func failures() async throws {
        let city = cache(on: InMemoryStore()).cached("city", ttl: .seconds(60)) { () async throws -> Int in
            throw Broken()
        }
        await #expect(throws: Broken.self) { try await city() }
        let span = try #require(tracer.popFinishedSpans().first)
        #expect(span.errors.first?.error is Broken)
    }

    @Test("are one for a load of many values")
    func batches() async throws {
        let city = cache(on: InMemoryStore()).cached("city", ttl: .seconds(60)) { (number: Int) in
            number
        } loadMany: {
            $0
        }
        _ = try await city.many([1, 2, 3])
        let spans = tracer.popFinishedSpans()
        #expect(spans.map(\.operationName) == ["cache.load"])
        #expect(spans.first?.attributes.get("cache.load.batch.size") == .int64(3))
    }

    @Test("of a background refresh belong to the trace of the call that began it")
    func background() async throws {
        let clock = ManualClock()
        let cache = cache(on: InMemoryStore(clock: clock), clock)
        let city = cache.cached("city", ttl: .seconds(60), staleFor: .seconds(60)) { 1 }
        _ = try await city()
        await cache.drain()
        clock.advance(by: .seconds(70))
        tracer.clearFinishedSpans()
        try await tracer.withSpan("request") { _ in _ = try await city() }
        await cache.drain()
        let spans = tracer.popFinishedSpans()
        #expect(Set(spans.map(\.operationName)) == ["request", "cache.load"])
        #expect(Set(spans.map(\.traceID)).count == 1)
    }

    @Test("of memcached are one for a hit, with the attributes of database clients")
    func memcached() async throws {
        let server = try MemcachedProcess()
        defer { server.stop() }
        var instrumentation = MemcachedInstrumentation.none
        instrumentation.tracing = MemcachedTracing(tracer: tracer)
        let store = try MemcachedStore(servers: [server.address], instrumentation: instrumentation)
        let cache = cache(on: store)
        let city = cache.cached("city", ttl: .seconds(60), groups: ["cities"]) { (slug: String) in slug }
        _ = try await city("paris")
        await cache.drain()
        tracer.clearFinishedSpans()
        _ = try await city("paris")
        let spans = tracer.popFinishedSpans()
        #expect(spans.map(\.operationName) == ["get"])
        let span = try #require(spans.first)
        #expect(span.kind == .client)
        #expect(span.attributes.get("db.system.name") == .string("memcached"))
        #expect(span.attributes.get("db.operation.name") == .string("get"))
        #expect(span.attributes.get("server.address") == .string("127.0.0.1"))
        #expect(span.attributes.get("server.port") == .int64(Int64(server.port)))
        #expect(!"\(span.attributes)".contains("paris"))
        // A get of many is no batch of these conventions.
        _ = try await city.many(["paris", "paris"])
        #expect(names() == ["get"])
        try await city.invalidate("paris")
        #expect(names() == ["delete"])
        await store.shutdown()
        _ = try? await store.get(StoreKey("k"))
        #expect(tracer.popFinishedSpans().first?.attributes.get("error.type") == .string("shutDown"))
    }
}
#endif
