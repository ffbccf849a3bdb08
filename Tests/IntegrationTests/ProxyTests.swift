import CacheUtils
import Memcached
import MemcachedProcess
import TestSupport
import Testing

/// What proxies do, with nutcracker in front of real servers.
@Suite("Behind a proxy", .timeLimit(.minutes(5)))
struct ProxyTests {
    @Test("items come in any order: a read of several keys with a miss among them finds the others", arguments: [2, 3])
    func anyOrder(serverCount: Int) async throws {
        try await withProxy(of: serverCount) { store, _ async throws in
            let keys = try (0..<200).map { try StoreKey("key:\($0)") }
            for (number, key) in keys.enumerated() where number % 12 != 5 {
                try await store.set(key, value: Array("\(number)".utf8), expiry: nil)
            }
            for _ in 1...3 {
                let items = try await store.get(keys)
                for (number, item) in items.enumerated() {
                    #expect(item?.bytes == (number % 12 == 5 ? nil : Array("\(number)".utf8)))
                }
            }
        }
    }

    @Test("values in groups are hits, however many are asked for together")
    func grouped() async throws {
        try await withProxy(of: 2) { store, _ async throws in
            let bench = Bench(store)
            let city = bench.city(groups: ["people", "artists"])
            for _ in 1...2 {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<300 { group.addTask { _ = try await city("\(number)") } }
                    try await group.waitForAll()
                }
                await bench.settle()
            }
            #expect(await bench.database.queries == 300)
        }
    }

    @Test("calls for many values find them, with lines of up to 64,000 bytes of keys", arguments: [1, 2])
    func many(serverCount: Int) async throws {
        try await withProxy(of: serverCount) { store, _ async throws in
            let cache = Cache(store: store, namespace: "many")
            let (loads, loaded) = (Counter(), Counter())
            let text = cache.cached("text", ttl: .seconds(60), groups: ["a", "b"]) { (text: String) in
                text
            } loadMany: { texts in
                loads.increment()
                loaded.add(texts.count)
                return texts
            }
            let texts = (0..<1000).map { "\($0) " + String(repeating: "x", count: 150) }
            for _ in 1...3 {
                #expect(try await text.many(texts) == texts)
                await cache.drain()
            }
            #expect(loads.value == 1 && loaded.value == 1000)
        }
    }

    @Test("no CAS id is told of a write, since a restart behind the proxy is not seen")
    func untold() async throws {
        try await withProxy(of: 2) { store, _ async throws in
            let write = try await store.writeUnique(StoreKey("key"), value: [1], over: nil, expiry: nil)
            #expect(write.isStored && write.cas == nil)
        }
    }

    @Test("a dead backend costs the keys behind it, and no others")
    func deadBackend() async throws {
        try await withProxy(of: 2, options: ["server_retry_timeout: 60000"]) { store, proxy async throws in
            let keys = try (0..<60).map { try StoreKey("key:\($0)") }
            for key in keys { try await store.set(key, value: [1], expiry: nil) }
            proxy.servers[0].stop()
            // Together, so that they share exchanges.
            let found = try await withThrowingTaskGroup(of: (StoreKey, Bool).self) { group in
                for key in keys {
                    group.addTask {
                        do { return (key, try await store.get(key) != nil) } catch is CacheError { return (key, false) }
                    }
                }
                return try await group.reduce(into: Set<StoreKey>()) { if $1.1 { $0.insert($1.0) } }
            }
            let direct = try MemcachedStore(servers: [proxy.servers[1].address])
            var there: Set<StoreKey> = []
            for key in keys where try await direct.get(key) != nil { there.insert(key) }
            await direct.shutdown()
            #expect(found == there && !there.isEmpty && there.count < keys.count)
        }
    }

    @Test("a proxy with several connections to a server is good where each write is acknowledged")
    func severalConnections() async throws {
        var configuration = testConfiguration
        configuration.acknowledgesWrites = true
        configuration.readsBeforeFill = true
        try await withProxy(of: 2, options: ["server_connections: 4"], configuration: configuration) {
            store, _ async throws in
            let bench = Bench(store)
            let city = bench.city()
            for _ in 1...2 {
                for number in 0..<50 { _ = try await city("\(number)") }
                await bench.settle()
            }
            #expect(await bench.database.queries == 50)
        }
    }
}
