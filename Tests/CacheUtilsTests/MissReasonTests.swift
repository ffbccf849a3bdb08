import CacheUtils
import Logging
import Synchronization
import TestSupport
import Testing

/// What `init(from:)` refuses: it is encoded, and cannot be read again.
private struct Picky: Codable, Sendable, Equatable {
    struct Refusal: Error {}

    var number: Int

    init(number: Int) { self.number = number }

    init(from decoder: any Decoder) throws { throw Refusal() }
}

@Suite("A miss knows why it is one")
struct MissReasonTests {
    private let clock = ManualClock()
    private let store: InMemoryStore
    private let statistics = CacheStatistics()
    private let log = MemoryLog()
    private let cache: Cache

    init() {
        store = InMemoryStore(clock: clock)
        let log = log
        cache = Cache(
            store: store, namespace: "shop", clock: clock, observer: statistics,
            logger: Logger(label: "test") { _ in log })
        log.logLevel = .info
    }

    /// The reasons that were counted since the last time.
    private func reasons(_ body: () async throws -> Void) async rethrows -> [CacheEvent.Reason: Int] {
        let before = statistics.snapshot.reasons
        try await body()
        await cache.drain()
        return statistics.snapshot.reasons.merging(before) { $0 - $1 }.filter { $0.value > 0 }
    }

    @Test("which is in the statistics")
    func inStatistics() async throws {
        let value = cache.cached("value", ttl: .seconds(60), refresh: .foreground, groups: ["a", "b"]) {
            (number: Int) in number
        }
        #expect(try await reasons { _ = try await value(1) } == [.absent: 1])
        #expect(try await reasons { _ = try await value(1) } == [:])
        clock.advance(by: .seconds(61))
        #expect(try await reasons { _ = try await value(1) } == [.expired: 1])
        try await cache.invalidate(group: "b")
        #expect(try await reasons { _ = try await value(1) } == [.groupInvalidated: 1])
        _ = try await value(2)
        await cache.drain()
        _ = try await store.delete(StoreKey("shop:@a"))
        let planted = statistics.snapshot.plantedStamps
        // The second one finds the stamp that the first has planted.
        #expect(try await reasons { _ = try await (value(1), value(2)) } == [.stampLost: 2])
        #expect(statistics.snapshot.plantedStamps == planted + 1)
        try await value.invalidate(1)
        #expect(try await reasons { _ = try await value(1) } == [.absent: 1])
        try await store.set(value.key(1), value: [1, 2, 3], expiry: nil)
        #expect(try await reasons { _ = try await value(1) } == [.foreignBytes: 1])
        #expect(try await reasons { try await value.refresh(1) } == [.refresh: 1])
        let text = cache.cached("value", ttl: .seconds(60), groups: ["a", "b"]) { (number: Int) in "\(number)" }
        #expect(try await reasons { _ = try await text(1) } == [.otherFormat: 1])
        #expect(statistics.snapshot.misses == statistics.snapshot.reasons.values.reduce(0, +))
    }

    @Test("also when the store is away, or an invalidation is being repeated")
    func trouble() async throws {
        let scripted = ScriptedStore(store)
        let cache = Cache(store: scripted, namespace: "shop", clock: clock, observer: statistics)
        let value = cache.cached("value", ttl: .seconds(60)) { 1 }
        scripted.setDown(true)
        #expect(try await reasons { _ = try await value() } == [.storeTrouble: 1])
        scripted.setDown(false)
        scripted.next(.add, .failBefore)
        #expect(try await reasons { _ = try await value() } == [.storeTrouble: 1])
    }

    @Test("and groups are a set: their order is nobody's business, and neither is naming one twice")
    func groupOrder() async throws {
        let loads = Counter()
        let functions = [["people", "artists"], ["artists", "people"], ["people", "artists", "people"]].map { groups in
            Cache(store: store, namespace: "shop", clock: clock)
                .cached("who", ttl: .seconds(60), groups: groups) { loads.increment() }
        }
        for _ in 1...10 { for function in functions { #expect(try await function() == 1) } }
        for group in ["people", "artists"] {
            let before = loads.value
            try await cache.invalidate(group: group)
            for function in functions { #expect(try await function() == before + 1) }
        }
    }

    @Test("that repeats for ever is a line in a minute for each function and reason, and no key is in it")
    func repeated() async throws {
        let one = cache.cached("secretly", ttl: .seconds(60), groups: ["a"]) { (number: Int) in number }
        let other = cache.cached("secretly", ttl: .seconds(60), groups: ["a", "b"]) { (number: Int) in number }
        let picky = cache.cached("picky", ttl: .seconds(60)) { (number: Int) in Picky(number: number) }
        for minute in 1...2 {
            for _ in 1...10 {
                for number in 7000...7002 {
                    #expect(try await one(number) == number)
                    #expect(try await other(number) == number)
                    #expect(try await picky(number) == Picky(number: number))
                    await cache.drain()
                }
            }
            let lines = log.lines(.info)
            #expect(lines.count { $0.contains("otherGroups") && $0.contains("secretly") } == minute)
            #expect(lines.count { $0.contains("undecodable") && $0.contains("picky") } == minute)
            clock.advance(by: .seconds(61))
        }
        #expect(log.lines(.info).allSatisfy { !$0.contains("700") })
        #expect(statistics.snapshot.reasons[.undecodable] ?? 0 > 10)
        #expect(statistics.snapshot.reasons[.otherGroups] ?? 0 > 10)
    }

    @Test("that does not repeat for a key is not logged: a release that changes the format, say")
    func once() async throws {
        let old = cache.cached("value", ttl: .seconds(60)) { (number: Int) in number }
        for number in 0..<200 { _ = try await old(number) }
        await cache.drain()
        let new = Cache(
            store: store, namespace: "shop", clock: clock, observer: statistics,
            logger: Logger(label: "test") { _ in log }
        ).cached("value", ttl: .seconds(60)) { (number: Int) in "\(number)" }
        for number in 0..<200 { _ = try await new(number) }
        #expect(statistics.snapshot.reasons[.otherFormat] == 200)
        #expect(log.lines(.info).isEmpty)
    }

    @Test("is logged at the level that is asked for, or not at all", arguments: [Logger.Level.error, nil])
    func level(level: Logger.Level?) async throws {
        let cache = Cache(
            store: store, namespace: "shop", clock: clock, logger: Logger(label: "test") { _ in log },
            troubleLevel: level)
        let picky = cache.cached("picky", ttl: .seconds(60)) { Picky(number: 1) }
        for _ in 1...5 {
            _ = try await picky()
            await cache.drain()
        }
        #expect(log.lines(.error).count { $0.contains("undecodable") } == (level == nil ? 0 : 1))
        #expect(log.lines(.info).isEmpty)
    }

    // MARK: Two functions of one name

    @Test("two functions of one name are told, loudly, with where they are; the same one again is none")
    func duplicates() throws {
        func orders(_ cache: Cache) -> CachedFunction<Int, String> {
            cache.cached("find", ttl: .seconds(60)) { (number: Int) in "order \(number)" }
        }
        for _ in 1...10 { _ = orders(cache) }
        #expect(log.lines(.info).isEmpty)
        for _ in 1...2 { _ = cache.cached("find", ttl: .seconds(60)) { (number: Int) in "user \(number)" } }
        #expect(log.lines(.info).count == 1)
        let line = try #require(log.lines(.info).first)
        #expect(line.contains("duplicateFunction") && line.contains("'find'"))
        #expect(line.split(separator: "MissReasonTests.swift:").count == 3)
        #expect(!line.contains("types differ"))
        _ = cache.cached("find", ttl: .seconds(60)) { (number: Int) in number }
        #expect(log.lines(.info).last?.contains("types differ") == true)
        _ = cache.cached("find", ttl: .seconds(60)) { (name: String) in name }
        #expect(log.lines(.info).count == 3)
        // In another cache it is another function.
        _ = orders(Cache(store: store, namespace: "blog", logger: Logger(label: "test") { _ in log }))
        _ = cache.cached("search", ttl: .seconds(60)) { (name: String) in name }
        #expect(log.lines(.info).count == 3)
    }

    @Test("one place that makes functions of one name and different types is told, too")
    func generic() {
        func find<Value: Codable & Sendable>(_ value: Value) { _ = cache.cached("find", ttl: .seconds(60)) { value } }
        find(1)
        find(2)
        #expect(log.lines(.info).isEmpty)
        find("three")
        #expect(log.lines(.info).count == 1)
    }
}
