import CacheUtils
import Memcached
import MemcachedProcess
import Synchronization
import TestSupport
import Testing

/// Several servers: a value and the stamps of its groups are read from one.
@Suite("A fleet", .timeLimit(.minutes(5)))
struct FleetTests {
    private func withFleet(
        of count: Int = 3, configuration: MemcachedStore.Configuration = testConfiguration,
        _ body: (MemcachedStore, [MemcachedProcess], [Relay]) async throws -> Void
    ) async throws {
        let servers = try (0..<count).map { _ in try MemcachedProcess() }
        let relays = try servers.map { try Relay(toPort: $0.port) }
        defer {
            for relay in relays { relay.stop() }
            for server in servers { server.stop() }
        }
        try await withServers(relays.map(\.address), configuration: configuration) {
            try await body($0, servers, relays)
        }
    }

    @Test("is asked for many values in one exchange with each server, and a dead one costs its own values")
    func batches() async throws {
        try await withFleet { store, servers, relays async throws in
            let cache = Cache(store: store, namespace: "many")
            let batches = Mutex<[[Int]]>([])
            let text = cache.cached("text", ttl: .seconds(60), groups: ["a", "b"]) { (number: Int) in
                "\(number)"
            } loadMany: { numbers in
                batches.withLock { $0.append(numbers) }
                return numbers.map { "\($0)" }
            }
            let (numbers, texts) = (Array(0..<300), (0..<300).map { "\($0)" })
            #expect(try await text.many(numbers) == texts)
            await cache.drain()
            for relay in relays { relay.forgetLines() }
            #expect(try await text.many(numbers) == texts)
            #expect(gets(relays) == [1, 1, 1])
            #expect(batches.withLock(\.self) == [numbers])
            relays[1].stop()
            servers[1].stop()
            let second = store.parts[1].id
            let own = try numbers.filter { (number: Int) throws -> Bool in
                try store.part(of: text.key(number)).id == second
            }
            #expect(try await text.many(numbers) == texts)
            #expect(batches.withLock(\.self) == [numbers, own] && own.count > 50)
        }
    }

    private func gets(_ relays: [Relay]) -> [Int] { relays.map { $0.lines.count { $0.hasPrefix("gets ") } } }

    @Test("has a hit with groups in one exchange with one server", arguments: [[], ["a"], ["a", "b", "c"]])
    func oneExchange(groups: [String]) async throws {
        try await withFleet { store, _, relays async throws in
            let bench = Bench(store)
            let city = bench.city(groups: groups)
            for number in 0..<30 { _ = try await city("\(number)") }
            await bench.settle()
            for number in 0..<30 {
                for relay in relays { relay.forgetLines() }
                _ = try await city("\(number)")
                #expect(gets(relays).sorted() == [0, 0, 1])
            }
            #expect(await bench.database.queries == 30)
        }
    }

    @Test("has every server given a new stamp when a group is invalidated, and another one when that is repeated")
    func invalidation() async throws {
        try await withFleet { store, _, _ async throws in
            let bench = Bench(store)
            let city = bench.city()
            for round in 0..<3 {
                for number in 0..<30 { _ = try await city("\(number)") }
                await bench.settle()
                #expect(await bench.database.queries == 30 * (round + 1))
                try await bench.cache.invalidate(group: "cities")
            }
            let key = try StoreKey("shop:@cities")
            var stamps: Set<[UInt8]> = []
            for part in store.parts { stamps.insert(try #require(try await part.store.get(key)).bytes) }
            try await bench.cache.invalidate(group: "cities")
            for part in store.parts { #expect(try await !stamps.contains(#require(part.store.get(key)).bytes)) }
        }
    }

    @Test("of which one server is dead loses the values there, and nothing else (D3)", arguments: [false, true])
    func deadServer(hangs: Bool) async throws {
        var configuration = testConfiguration
        configuration.operationTimeout = .seconds(1)
        try await withFleet(configuration: configuration) { store, servers, relays async throws in
            let bench = Bench(store)
            let city = bench.city(groups: ["cities", "places", "names"])
            var there: [Int: Set<Int>] = [:]
            for number in 0..<60 {
                _ = try await city("\(number)")
                there[store.server(of: try city.key("\(number)")), default: []].insert(number)
            }
            await bench.settle()
            #expect(there.count == 3)
            if hangs { servers[0].suspend() } else { servers[0].stop() }
            relays[0].cut()
            // Until the store knows.
            try await eventually {
                _ = try await city("\(there[0]?.first ?? 0)")
                return !store.status[0].isAvailable
            }
            let before = await bench.database.queries
            for number in 0..<60 { _ = try await city("\(number)") }
            #expect(await bench.database.queries == before + (there[0]?.count ?? 0))

            let error = await #expect(throws: CacheError.self) { try await bench.cache.invalidate(group: "cities") }
            #expect(error?.message.contains(relays[0].address) == true, "\(error?.message ?? "")")
            #expect(error?.message.contains(relays[1].address) == false)
            #expect(error?.keys == [try StoreKey("shop:@cities")])
            // What it did write holds.
            let after = await bench.database.queries
            for number in there[1] ?? [] { _ = try await city("\(number)") }
            #expect(await bench.database.queries == after + (there[1]?.count ?? 0))
            servers[0].resume()
        }
    }

    @Test("has an invalidation of many sent to all servers at the same time, and what failed named")
    func many() async throws {
        try await withFleet(of: 2) { store, servers, relays async throws in
            let bench = Bench(store)
            let city = bench.city(groups: [])
            for number in 0..<40 { _ = try await city("\(number)") }
            await bench.settle()
            try await city.invalidate(many: (0..<20).map { "\($0)" })
            for number in 0..<40 { _ = try await city("\(number)") }
            await bench.settle()
            #expect(await bench.database.queries == 60)
            servers[1].stop()
            relays[1].cut()
            let error = await #expect(throws: CacheError.self) {
                try await city.invalidate(many: (0..<40).map { "\($0)" })
            }
            let lost = try (0..<40).map { try city.key("\($0)") }.filter { store.server(of: $0) == 1 }
            #expect(error?.code == .unavailable && error?.keys == lost && !lost.isEmpty && lost.count < 40)
        }
    }

    @Test("goes on invalidating a group on a server that was dead, and costs the others no more values")
    func repeated() async throws {
        try await withFleet(of: 2) { store, servers, relays async throws in
            let (statistics, database) = (CacheStatistics(), Database())
            let cache = Cache(store: store, namespace: "shop", observer: statistics, troubleLevel: nil)
            let city = cache.cached("City.get", ttl: .seconds(600), groups: ["cities"]) { (slug: String) in
                try await database.city(slug)
            }
            let numbers = try (0..<40).filter { store.server(of: try city.key("\($0)")) == 0 }
            servers[1].stop()
            relays[1].cut()
            let (events, continuation) = AsyncStream<String>.makeStream()
            let wiring = Task { try await cache.invalidate(on: events) { [.group($0)] } }
            continuation.yield("cities")
            try await eventually { statistics.snapshot.failedInvalidations > 1 }
            // Values of the first server are cached, and stay so whatever is repeated.
            for number in numbers { _ = try await city("\(number)") }
            try await eventually { statistics.snapshot.fills >= numbers.count }
            let failed = statistics.snapshot.failedInvalidations
            try await eventually { statistics.snapshot.failedInvalidations > failed }
            for number in numbers { _ = try await city("\(number)") }
            #expect(await database.queries == numbers.count)
            try servers[1].start()
            continuation.finish()
            try await wiring.value
        }
    }

    @Test("takes a list of thousands of invalidations, however long its servers take for each")
    func thousands() async throws {
        var configuration = testConfiguration
        configuration.operationTimeout = .seconds(2)
        try await withFleet(of: 1, configuration: configuration) { store, _, _ async throws in
            let bench = Bench(store)
            try await bench.city().invalidate(many: (0..<20_000).map { "\($0)" })
        }
    }
}
