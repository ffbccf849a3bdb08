import CacheUtils
import CoreMetrics
import MetricsTestKit
import TestSupport
import Testing

/// What a cache counts by swift-metrics.
@Suite("Metrics of a cache", .timeLimit(.minutes(5)))
struct MetricsTests {
    private struct Broken: Error {}

    private let metrics = TestMetrics()
    private let clock = ManualClock()
    private let store: ScriptedStore
    private let cache: Cache

    init() {
        store = ScriptedStore(InMemoryStore(clock: clock), tellsIDs: true)
        cache = Self.cache(on: store, clock, CacheMetrics(factory: metrics))
    }

    private static func cache(
        on store: any CacheStore, _ clock: ManualClock, _ metrics: CacheMetrics, named namespace: String = "shop"
    ) -> Cache {
        var instrumentation = CacheInstrumentation.none
        instrumentation.metrics = metrics
        return Cache(
            store: store, namespace: namespace, clock: clock, instrumentation: instrumentation, trapsBadOptions: false)
    }

    private func count(_ name: String, _ dimension: (String, String)? = nil, of function: String = "city") -> Int64 {
        let dimensions = [("namespace", "shop"), ("function", function)] + (dimension.map { [$0] } ?? [])
        return (try? metrics.expectCounter(name, dimensions))?.totalValue ?? 0
    }

    private func requests(_ result: String, of function: String = "city") -> Int64 {
        count("cache.requests", ("result", result), of: function)
    }

    @Test("are requests by function and result")
    func requests() async throws {
        let gate = Gate()
        let city = cache.cached("city", ttl: .seconds(60), staleFor: .seconds(60)) { (slug: String) in
            if slug == "slow" { try await gate.pass() }
            return slug
        }
        _ = try await city("paris")
        await cache.drain()
        _ = try await city("paris")
        _ = try await city("paris")
        clock.advance(by: .seconds(70))
        _ = try await city("paris")
        await cache.drain()
        #expect(requests("miss") == 1)
        #expect(requests("hit") == 2)
        #expect(requests("stale") == 1)
        // One that shares the load of another.
        let first = Task { try await city("slow") }
        try await gate.arrival()
        let reads = store.count(.get)
        let second = Task { try await city("slow") }
        try await eventually { store.count(.get) > reads }
        gate.open()
        _ = try await (first.value, second.value)
        #expect(requests("miss") == 2)
        #expect(requests("shared") == 1)
        store.next(.get, .failBefore)
        _ = try await city("paris")
        #expect(requests("store_error") == 1)
        _ = try await cache.value(forKey: "k") { 1 }
        #expect(requests("miss", of: "value") == 1)
    }

    @Test("are loads, how long they took, and what was not stored")
    func loads() async throws {
        let (clock, cache) = (clock, cache)
        let city = cache.cached("city", ttl: .seconds(60)) { (slug: String) async throws -> String in
            clock.advance(by: .milliseconds(20))
            if slug == "bad" { throw Broken() }
            if slug == "late" { try await cache.invalidate(group: "none") }
            return slug
        }
        _ = try await city("paris")
        await #expect(throws: Broken.self) { try await city("bad") }
        await cache.drain()
        let timer = try metrics.expectTimer("cache.load.duration", [("namespace", "shop"), ("function", "city")])
        #expect(timer.values == [20_000_000, 20_000_000])
        #expect(count("cache.loads.failed") == 1)

        let gate = Gate()
        let other = cache.cached("other", ttl: .seconds(60)) { () in
            try await gate.pass()
            return 1
        }
        let call = Task { try await other() }
        try await gate.arrival()
        try await other.invalidate()
        gate.open()
        _ = try await call.value
        await cache.drain()
        #expect(count("cache.fills.dropped", ("reason", "overtaken"), of: "other") == 1)
    }

    @Test("are invalidations, and how many are pending")
    func invalidations() async throws {
        let city = cache.cached("city", ttl: .seconds(60)) { (slug: String) in slug }
        try await city.invalidate("paris")
        store.next(.delete, .failBefore)
        await #expect(throws: (any Error).self) { try await city.invalidate("lyon") }
        #expect(count("cache.invalidations", ("state", "sent")) == 1)
        #expect(count("cache.invalidations", ("state", "failed")) == 1)
        let gauge = try metrics.expectRecorder("cache.invalidations.pending", [("namespace", "shop")])
        try await eventually { gauge.lastValue == 0 }
    }

    @Test("are how many items an in-memory store holds, every ten seconds")
    func entries() async throws {
        let memory = InMemoryStore(clock: clock)
        let cache = Self.cache(on: memory, clock, CacheMetrics(factory: metrics), named: "memory")
        let gauge = try metrics.expectRecorder("cache.entries", [("namespace", "memory")])
        try await eventually { gauge.lastValue == 0 }
        _ = try await cache.value(forKey: "k") { 1 }
        await cache.drain()
        try await eventually {
            clock.advance(by: .seconds(10))
            return gauge.lastValue == 1
        }
        // The gauges go with the cache.
        withExtendedLifetime(cache) {}
    }

    @Test("have names that can be changed, and a namespace that is not made from data")
    func names() async throws {
        var names = CacheMetrics.Names()
        names.requests = "shop_cache_requests_total"
        names.result = "outcome"
        let cache = Self.cache(
            on: store, clock, CacheMetrics(names: names, namespace: "tenants", factory: metrics), named: "tenant 4711")
        _ = try await cache.cached("city", ttl: .seconds(60)) { 1 }()
        let counter = try metrics.expectCounter(
            "shop_cache_requests_total", [("namespace", "tenants"), ("function", "city"), ("outcome", "miss")])
        #expect(counter.totalValue == 1)
    }

    @Test("tell two hundred functions apart, and no more: names may be made from data")
    func bounded() async throws {
        for number in 0..<300 { _ = try await cache.cached("f\(number)", ttl: .seconds(60)) { 1 }() }
        #expect(requests("miss", of: "f199") == 1)
        #expect(requests("miss", of: "f200") == 0)
        #expect(requests("miss", of: "other") == 100)
        let dimensions = Set(metrics.counters.flatMap(\.dimensions).filter { $0.0 == "function" }.map(\.1))
        #expect(dimensions.count <= 201)
        // Nothing is kept of the others.
        let counting = CountingFactory()
        let bounded = Self.cache(on: store, clock, CacheMetrics(factory: counting))
        for number in 0..<201 { _ = try await bounded.cached("f\(number)", ttl: .seconds(60)) { 1 }() }
        let made = counting.made
        for number in 201..<250 { _ = try await bounded.cached("f\(number)", ttl: .seconds(60)) { 1 }() }
        #expect(counting.made == made)
    }

    @Test("are made once, and none is where nobody counts")
    func madeOnce() async throws {
        let counting = CountingFactory()
        let cache = Self.cache(on: store, clock, CacheMetrics(factory: counting))
        let city = cache.cached("city", ttl: .seconds(60)) { (slug: String) in slug }
        _ = try await city("paris")
        await cache.drain()
        _ = try await city("paris")
        let made = counting.made
        for _ in 0..<100 { _ = try await city("paris") }
        #expect(counting.made == made)
        // What is in the tests' process: no back-end.
        #expect(MetricsSystem.factory is NOOPMetricsHandler)
    }
}

/// Counts how many metrics are made.
private final class CountingFactory: MetricsFactory {
    private let base = TestMetrics()
    private let count = Counter()

    var made: Int { count.value }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        count.increment()
        return base.makeCounter(label: label, dimensions: dimensions)
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        count.increment()
        return base.makeRecorder(label: label, dimensions: dimensions, aggregate: aggregate)
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        count.increment()
        return base.makeTimer(label: label, dimensions: dimensions)
    }

    func destroyCounter(_ handler: any CounterHandler) { base.destroyCounter(handler) }
    func destroyRecorder(_ handler: any RecorderHandler) { base.destroyRecorder(handler) }
    func destroyTimer(_ handler: any TimerHandler) { base.destroyTimer(handler) }
}
