import CacheUtils
import Synchronization
import TestSupport
import Testing

@Suite("A policy", .timeLimit(.minutes(5)))
struct PolicyTests {
    private let clock = ManualClock()
    private let statistics = CacheStatistics()
    private let store: InMemoryStore
    private let cache: Cache
    private let loads = Counter()

    init() {
        store = InMemoryStore(clock: clock)
        cache = Cache(store: store, namespace: "s", clock: clock, observer: statistics)
    }

    /// A function whose load takes ten seconds.
    private func slow(_ policy: CachePolicy, in cache: Cache) -> CachedFunction<Int, Int> {
        cache.cached("slow", policy: policy) { [clock, loads] (number: Int) in
            loads.increment()
            clock.advance(by: .seconds(10))
            return number
        }
    }

    /// How many of a hundred fresh values are refreshed by one call each, a time before they are stale.
    private func refreshed(_ policy: CachePolicy, before left: Duration) async throws -> Int {
        let store = InMemoryStore(clock: clock)
        let cache = Cache(store: store, namespace: "s", clock: clock)
        let function = slow(policy, in: cache)
        _ = try await function.many(Array(0..<100))
        await cache.drain()
        // Each was cached at another time; those that are far from their ends are not counted.
        var refreshed = 0
        for number in 0..<100 {
            guard let freshFor = try await function.with({ $0.earlyRefresh = .none }).answer(number).freshFor else {
                continue
            }
            clock.set(by: freshFor - left)
            let before = loads.value
            let answer = try await function.answer(number)
            #expect(answer.value == number && !answer.isStale)
            await cache.drain()
            refreshed += loads.value - before
            clock.set(by: left - freshFor)
        }
        return refreshed
    }

    @Test("refreshes early by chance, the likelier the closer the end and the longer the load takes")
    func early() async throws {
        let policy = CachePolicy(ttl: .seconds(100_000), earlyRefresh: .byChance())
        // e^-(left / took): a hundredth of a millionth, a half, and nearly always.
        #expect(try await refreshed(policy, before: .seconds(200)) == 0)
        let half = try await refreshed(policy, before: .milliseconds(6931))
        #expect((20...80).contains(half))
        #expect(try await refreshed(policy, before: .milliseconds(1)) >= 95)
        #expect(try await refreshed(CachePolicy(ttl: .seconds(100_000)), before: .milliseconds(1)) == 0)
    }

    @Test("that refreshes early has one caller do it, in the background, and a foreground policy waits for nothing")
    func earlyOnce() async throws {
        let gate = Gate()
        let policy = CachePolicy(ttl: .seconds(60), earlyRefresh: .byChance(beta: .infinity), refresh: .foreground)
        let value = cache.cached("f", policy: policy) { [clock, loads] () in
            if loads.increment() > 1 { try await gate.pass() }
            clock.advance(by: .milliseconds(1))
            return loads.value
        }
        #expect(try await value() == 1)
        await cache.drain()
        for _ in 1...5 { #expect(try await value() == 1) }
        try await gate.arrival()
        #expect(loads.value == 2)
        #expect(statistics.snapshot.hits == 5 && statistics.snapshot.stale == 0)
        gate.open()
        await cache.drain()
        #expect(try await value.with { $0.earlyRefresh = .none }() == 2)
    }

    @Test("shortens what is fresh by chance, by as much as its jitter at most")
    func jitter() async throws {
        let function = cache.cached("f", policy: CachePolicy(ttl: .seconds(1000), jitter: 0.2)) { (number: Int) in
            number
        }
        var times: Set<Duration> = []
        for number in 0..<50 {
            _ = try await function(number)
            await cache.drain()
            let freshFor = try #require(try await function.answer(number).freshFor)
            #expect(freshFor > .seconds(800) - .milliseconds(1) && freshFor <= .seconds(1000))
            times.insert(freshFor)
        }
        #expect(times.count > 40)
    }

    @Test("is the cache's, the function's in its place, and what is given beside it counts")
    func places() async throws {
        let cache = Cache(
            store: store, namespace: "s", policy: CachePolicy(ttl: .seconds(10), nilFor: .seconds(5), staleFor: .zero),
            clock: clock)
        let byCache = cache.cached("a") { () -> Int? in nil }
        let byFunction = cache.cached("b", policy: CachePolicy(ttl: .seconds(20), staleFor: .zero)) { 1 }
        let beside = cache.cached("c", ttl: .seconds(30), policy: CachePolicy(ttl: .seconds(20))) { 1 }
        _ = try await (byCache(), byFunction(), beside())
        await cache.drain()
        #expect(try await byCache.answer().freshFor == .seconds(5))
        #expect(try await byFunction.answer().freshFor == .seconds(20))
        #expect(try await beside.answer().freshFor == .seconds(30))
        // Where nobody says anything, five minutes.
        let plain = self.cache.cached("d") { 1 }
        _ = try await plain()
        await self.cache.drain()
        #expect(try await plain.answer().freshFor == .seconds(300))
    }

    @Test("can be changed for one call: what is cached is the same")
    func perCall() async throws {
        let value = cache.cached("f", ttl: .seconds(60)) { [loads] in loads.increment() }
        #expect(try await value() == 1)
        await cache.drain()
        clock.advance(by: .seconds(70))
        #expect(try await value.with { $0.staleFor = .zero }() == 2)
        await cache.drain()
        #expect(try await value() == 2)
        let bad = value.with { $0.ttl = .zero }
        let error = await #expect(throws: CacheError.self) { try await bad() }
        #expect(error?.code == .invalidDuration)
    }

    // MARK: Options that cannot work

    @Test("that cannot work ends a debug build where it is written, and says why")
    func traps() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            let cache = Cache(store: InMemoryStore(), namespace: "s", trapsBadOptions: true)
            _ = cache.cached("City.get", ttl: .seconds(-1)) { 1 }
        }
        let message = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(message.contains("PolicyTests.swift:"))
        #expect(message.contains("City.get") && message.contains("give how long a value is fresh"))
    }

    @Test("that cannot work ends a debug build also where it is the cache's, or a group has no name")
    func trapsElsewhere() async {
        await #expect(processExitsWith: .failure) {
            _ = Cache(store: InMemoryStore(), namespace: "s", policy: CachePolicy(jitter: 1), trapsBadOptions: true)
        }
        await #expect(processExitsWith: .failure) {
            _ = Cache(store: InMemoryStore(), namespace: "", trapsBadOptions: true)
        }
        await #expect(processExitsWith: .failure) {
            let cache = Cache(store: InMemoryStore(), namespace: "s", trapsBadOptions: true)
            _ = cache.cached("f", groups: [""]) { 1 }
        }
    }

    @Test(
        "that cannot work is the error of every call where it does not end the process",
        arguments: [
            CachePolicy(jitter: 1), CachePolicy(jitter: -0.1), CachePolicy(earlyRefresh: .byChance(beta: -1)),
            CachePolicy(jitter: .nan),
        ])
    func errors(policy: CachePolicy) async {
        let cache = Cache(store: store, namespace: "s", clock: clock, trapsBadOptions: false)
        let error = await #expect(throws: CacheError.self) { try await cache.cached("f", policy: policy) { 1 }() }
        #expect(error?.code == .invalidConfiguration)
    }
}
