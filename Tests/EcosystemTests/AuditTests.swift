import CacheUtils
import InMemoryLogging
import Logging
import MetricsTestKit
import Synchronization
import TestSupport
import Testing

/// Served values are compared with what their loader says.
@Suite("An audit", .timeLimit(.minutes(5)))
struct AuditTests {
    /// A database, and a cache on it whose every hit is looked at.
    private final class Shop: Sendable {
        struct City: Codable, Sendable, Equatable {
            var population: Int
            var readAt = 0
        }

        let clock = ManualClock()
        let population = Atomic(1)
        let reads = Atomic(0)
        let statistics = CacheStatistics()
        let metrics = TestMetrics()
        let handler: InMemoryLogHandler
        let cache: Cache

        init(_ audit: CacheAudit) {
            var handler = InMemoryLogHandler()
            handler.logLevel = .debug
            self.handler = handler
            var instrumentation = CacheInstrumentation.none
            instrumentation.metrics = CacheMetrics(factory: metrics)
            cache = Cache(
                store: InMemoryStore(clock: clock), namespace: "shop",
                policy: CachePolicy(ttl: .seconds(600), staleFor: .seconds(600), audit: audit), clock: clock,
                observer: statistics, instrumentation: instrumentation, logger: Logger(label: "shop") { _ in handler })
        }

        var city: CachedFunction<String, City> {
            cache.cached("city") { [self] (_: String) in
                City(
                    population: population.load(ordering: .relaxed),
                    readAt: reads.add(1, ordering: .relaxed).newValue)
            }
        }

        /// The function, whose readings differ in what nobody cares for.
        var compared: CachedFunction<String, City> { city.compared { $0.population == $1.population } }

        var loads: Int { reads.load(ordering: .relaxed) }

        func update() { population.add(1, ordering: .relaxed) }

        /// Lets the time go on until the comparisons that are under way have ended.
        func finishAudits() async throws {
            let hasEnded = Counter()
            let drain = Task { [cache] in
                await cache.drain(for: .seconds(1_000_000))
                hasEnded.increment()
            }
            try await eventually {
                clock.advance(by: .milliseconds(500))
                return hasEnded.value > 0
            }
            await drain.value
        }
    }

    @Test("tells of an invalidation that was forgotten, with its function and its key")
    func forgotten() async throws {
        let shop = Shop(CacheAudit(every: 1))
        let city = shop.compared
        _ = try await city("paris")
        await shop.cache.drain()
        shop.update()
        // Nobody invalidates.
        #expect(try await city("paris").population == 1)
        try await shop.finishAudits()
        #expect(shop.statistics.snapshot.mismatches == 1)
        #expect(shop.statistics.snapshot.staleMismatches == 0)
        let counter = try shop.metrics.expectCounter(
            "cache.mismatches", [("namespace", "shop"), ("function", "city"), ("reason", "wrong")])
        #expect(counter.totalValue == 1)
        let entry = try #require(shop.handler.entries.last)
        #expect(entry.level == .debug && entry.message == "a cached value is not what its loader says")
        #expect(entry.metadata["cache.key"]?.description == "shop:1:city(\"paris\")")
        // What is cached stays.
        #expect(try await city.peek("paris")?.population == 1)
    }

    @Test("tells of nothing when the invalidation comes a moment after the change", arguments: [true, false])
    func underWay(isCachedAgain: Bool) async throws {
        let shop = Shop(CacheAudit(every: 1))
        let city = shop.compared
        _ = try await city("paris")
        await shop.cache.drain()
        shop.update()
        _ = try await city("paris")
        // The loader says something else already.
        try await eventually { shop.loads == 2 }
        try await city.invalidate("paris")
        if isCachedAgain { _ = try await city("paris") }
        try await shop.finishAudits()
        #expect(shop.statistics.snapshot.mismatches == 0)
        #expect(try await city("paris").population == 2)
    }

    @Test("tells what was served stale from what was wrong")
    func stale() async throws {
        let shop = Shop(CacheAudit(every: 1))
        let (gate, loads) = (Gate(), Counter())
        let cache = shop.cache
        let city = cache.cached("slow", ttl: .seconds(60)) { () in
            if loads.increment() == 2 { try await gate.pass() }
            return shop.population.load(ordering: .relaxed)
        }
        _ = try await city()
        await cache.drain()
        shop.update()
        shop.clock.advance(by: .seconds(70))
        // The first one has it refreshed, which takes its time; the second one is served stale meanwhile.
        #expect(try await city() == 1)
        try await gate.arrival()
        #expect(try await city() == 1)
        try await eventually {
            shop.clock.advance(by: .milliseconds(500))
            return shop.statistics.snapshot.mismatches == 1
        }
        #expect(shop.statistics.snapshot.staleMismatches == 1)
        gate.open()
    }

    @Test("says nothing of a loader that says something else each time, unless it is told what to compare")
    func volatile() async throws {
        let shop = Shop(CacheAudit(every: 1))
        _ = try await shop.city("paris")
        await shop.cache.drain()
        shop.update()
        _ = try await shop.city("paris")
        try await shop.finishAudits()
        #expect(shop.loads == 3)
        #expect(shop.statistics.snapshot.mismatches == 0)
    }

    @Test("is off unless it is asked for, and looks at one value in so many")
    func sampling() async throws {
        let off = Shop(CacheAudit(every: 1))
        let never = off.compared.with { $0.audit = nil }
        let seldom = Shop(CacheAudit(every: 100_000, pause: .zero))
        for (shop, city) in [(off, never), (seldom, seldom.compared)] {
            for _ in 0..<50 {
                _ = try await city("paris")
                await shop.cache.drain()
            }
            #expect(shop.loads <= 3)
        }
    }

    @Test("is bounded in rate and in how many run at a time")
    func bounds() async throws {
        let shop = Shop(CacheAudit(every: 1, atATime: 2, pause: .milliseconds(100)))
        let city = shop.compared
        for number in 0..<10 { _ = try await city("\(number)") }
        await shop.cache.drain()
        shop.update()
        let before = shop.loads
        // All at one moment: the pause lets one begin.
        for number in 0..<10 { _ = try await city("\(number)") }
        try await eventually { shop.loads == before + 1 }
        shop.clock.advance(by: .milliseconds(200))
        for number in 0..<10 { _ = try await city("\(number)") }
        shop.clock.advance(by: .milliseconds(200))
        for number in 0..<10 { _ = try await city("\(number)") }
        try await eventually { shop.loads == before + 2 }
    }

    @Test("looks at the values of a batch, too")
    func batches() async throws {
        let shop = Shop(CacheAudit(every: 1))
        let city = shop.compared
        _ = try await city.many(["paris", "lyon"])
        await shop.cache.drain()
        shop.update()
        _ = try await city.many(["paris", "lyon"])
        try await shop.finishAudits()
        #expect(shop.statistics.snapshot.mismatches == 1)
    }

    @Test("looks at values with groups of their own, by themselves and in a batch")
    func ownGroups() async throws {
        let shop = Shop(CacheAudit(every: 1, pause: .zero))
        let city = shop.cache.cached("own") { (_: Int) in
            Cached(shop.population.load(ordering: .relaxed), groups: ["a"])
        } loadMany: { numbers in
            numbers.map { _ in Cached(shop.population.load(ordering: .relaxed), groups: ["a"]) }
        }
        _ = try await city(1)
        await shop.cache.drain()
        shop.update()
        #expect(try await city(1) == 1)
        try await shop.finishAudits()
        #expect(shop.statistics.snapshot.mismatches == 1)
        #expect(try await city.many([1]) == [1])
        try await shop.finishAudits()
        #expect(shop.statistics.snapshot.mismatches == 2)
    }

    @Test("has its loader ask for other values in the place that it has")
    func nested() async throws {
        let (clock, inner) = (ManualClock(), Counter())
        let cache = Cache(
            store: InMemoryStore(clock: clock), namespace: "shop",
            policy: CachePolicy(maximumLoads: 1, audit: CacheAudit(every: 1)), clock: clock)
        let part = cache.cached("part") { (_: Int) in inner.increment() }
        let whole = cache.cached("whole") { () in try await part(1) }
        _ = try await whole()
        await cache.drain()
        try await part.invalidate(1)
        #expect(try await whole() == 1)
        // The clock stands still: nobody waits for a place.
        try await eventually { inner.value == 2 }
    }

    @Test("that cannot work is an error")
    func badInput() async throws {
        let cache = Cache(store: InMemoryStore(), namespace: "shop", trapsBadOptions: false)
        let city = cache.cached("city", policy: CachePolicy(audit: CacheAudit(every: 0))) { 1 }
        let error = await #expect(throws: CacheError.self) { try await city() }
        #expect(error?.code == .invalidConfiguration)
    }
}
