import CacheUtils
import Foundation
import MemcachedProcess
import Synchronization
import TestSupport
import Testing

@testable import Memcached

/// Servers, networks and resolvers that do not answer. Bounds are in whole seconds, and wide.
@Suite("What does not answer", .serialized, .timeLimit(.minutes(5)))
struct StalledServerTests {
    private let key = StoreKey(trusted: Array("key".utf8))

    private func configuration(_ change: (inout MemcachedStore.Configuration) -> Void = { _ in })
        -> MemcachedStore.Configuration
    {
        var configuration = MemcachedStore.Configuration()
        change(&configuration)
        return configuration
    }

    private func seconds(_ body: () async throws -> Void) async rethrows -> Double {
        let began = ContinuousClock.now
        try await body()
        return (ContinuousClock.now - began) / .seconds(1)
    }

    private func answers(_ store: MemcachedStore) async -> Bool {
        do { _ = try await store.get(key) } catch { return false }
        return true
    }

    @Test("ends a call at its deadline, though a byte comes now and then, and leaves the thread behind")
    func trickle() async throws {
        let server = try MemcachedProcess()
        let relay = try Relay(toPort: server.port)
        defer {
            relay.stop()
            server.stop()
        }
        try await withServers([relay.address], configuration: configuration()) { store async throws in
            try await store.set(key, value: [UInt8](repeating: 1, count: 50), expiry: nil)
            _ = try await store.get(key)
            relay.trickle()
            // The answer would take some 16 seconds.
            let time = await seconds {
                let error = await #expect(throws: CacheError.self) { try await store.get(key) }
                #expect(error?.code == .timeout)
            }
            #expect(time < 12)
            // On connections that are new.
            let again = try await seconds { try await eventually { await answers(store) } }
            #expect(again < 20)
        }
    }

    @Test("a resolver that takes its time holds up no call for longer than its deadline")
    func slowResolver() async throws {
        let server = try MemcachedProcess()
        defer { server.stop() }
        let lookUps = Counter()
        let store = try MemcachedStore(
            servers: [MemcachedServer("somewhere:\(server.port)")], configuration: configuration()
        ) {
            _ in
            if lookUps.increment() <= 2 { sleep(6) }
            return ["127.0.0.1"]
        }
        let time = await seconds {
            await withDiscardingTaskGroup { group in
                for _ in 0..<20 { group.addTask { _ = try? await store.get(key) } }
            }
        }
        #expect(time < 5)
        try await eventually { await answers(store) }
        await store.shutdown()
    }

    @Test("all connections to a server share one address, looked up once, and again when one has broken")
    func oneAddress() async throws {
        let server = try MemcachedProcess()
        defer { server.stop() }
        let lookUps = Counter()
        let store = try MemcachedStore(
            servers: [MemcachedServer("somewhere:\(server.port)")],
            configuration: configuration { $0.operationTimeout = .seconds(30) }
        ) { host in
            #expect(host == "somewhere")
            lookUps.increment()
            return ["127.0.0.1"]
        }
        for _ in 1...3 { try await use(store, 200) }
        // Two threads may have begun at the same time.
        #expect(lookUps.value <= 2)
        let before = lookUps.value
        server.stop()
        try server.start()
        try await eventually { await answers(store) }
        _ = try await store.delete(key)
        #expect(lookUps.value > before)
        await store.shutdown()
    }

    #if os(Linux)
    @Test("a name that moves is followed by all connections when one has broken, though the old address accepts (D2)")
    func movedName() async throws {
        let old = try MemcachedProcess()
        let new = try MemcachedProcess(.loopback(number: 2, port: old.port))
        defer { for server in [old, new] { server.stop() } }
        let hasMoved = Counter()
        let store = try MemcachedStore(
            servers: [MemcachedServer("somewhere:\(old.port)")],
            configuration: configuration { $0.operationTimeout = .seconds(30) }
        ) { _ in hasMoved.value == 0 ? ["127.0.0.1"] : ["127.0.0.2"] }
        let others = try (old: MemcachedStore(servers: [old.address]), new: MemcachedStore(servers: [new.address]))
        for _ in 1...3 { try await use(store, 200) }
        #expect(try await others.old.get(key)?.bytes == [1])
        hasMoved.increment()
        old.stop()
        try old.start()
        try await eventually { await answers(store) }
        // On the connection that writes, and on both of those that read.
        try await use(store, 200)
        #expect(try await others.new.get(key)?.bytes == [1])
        #expect(try await store.delete(key))
        #expect(try await others.new.get(key) == nil)
        try await others.old.set(key, value: [9], expiry: nil)
        try await withThrowingTaskGroup(of: StoreItem?.self) { group in
            for _ in 0..<500 { group.addTask { try await store.get(key) } }
            for try await item in group { #expect(item == nil) }
        }
        for store in [store, others.old, others.new] { await store.shutdown() }
    }

    @Test("an address that answers nobody is left for the next one of the name, within the call's time")
    func blackHole() async throws {
        let server = try MemcachedProcess()
        // With one connection that nobody takes, the system answers no other.
        let (listener, _) = try MemcachedProcess.listener(loopback: 2, port: server.port, backlog: 0)
        let filler = MemcachedProcess.connect(toPort: server.port, loopback: 2)
        defer {
            for descriptor in [listener, filler].compactMap({ $0 }) { close(descriptor) }
            server.stop()
        }
        let store = try MemcachedStore(
            servers: [MemcachedServer("somewhere:\(server.port)")],
            configuration: configuration {
                $0.operationTimeout = .seconds(30)
                $0.connectTimeout = .milliseconds(300)
            }
        ) { _ in ["127.0.0.2", "127.0.0.1"] }
        try await use(store, 1)
        #expect(store.status[0].isAvailable)
        await store.shutdown()
    }
    #endif

    private func use(_ store: MemcachedStore, _ reads: Int) async throws {
        try await store.set(key, value: [1], expiry: nil)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<reads { group.addTask { _ = try await store.get(key) } }
            try await group.waitForAll()
        }
    }

    @Test("a server that hangs costs one operation timeout, and then nothing until it answers again")
    func breaker() async throws {
        let server = try MemcachedProcess()
        defer { server.stop() }
        try await withServers([server.address], configuration: configuration()) { store async throws in
            let bench = Bench(store, clock: ManualClock(advancesInSleep: true))
            let value = bench.cache.cached("value", ttl: .seconds(60)) { (number: Int) in
                try await Task.sleep(for: .milliseconds(5))
                return number
            }
            _ = try await value(-1)
            server.suspend()
            // 0.16 seconds without a cache, and 31 in the first edition.
            let time = try await seconds {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for task in 0..<64 {
                        group.addTask {
                            for call in 0..<31 {
                                let answer = try await value(task * 100 + call)
                                #expect(answer == task * 100 + call)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
            #expect(time < 8)
            #expect(!store.status[0].isAvailable)
            let error = await #expect(throws: CacheError.self) { try await store.get(key) }
            #expect(error?.code == .unavailable)
            // An invalidation is tried all the same.
            let invalidation = await #expect(throws: CacheError.self) { try await store.delete(key) }
            #expect(invalidation?.code == .timeout)
            server.resume()
            // The store finds out by itself.
            try await eventually { store.status[0].isAvailable }
            #expect(try await store.get(key) == nil)
        }
    }

    @Test("a server that hangs under load is asked for everything again soon after it goes on")
    func recovery() async throws {
        let server = try MemcachedProcess()
        defer { server.stop() }
        try await withServers([server.address], configuration: configuration()) { store async throws in
            let statistics = CacheStatistics()
            let cache = Cache(store: store, namespace: "shop", observer: statistics, troubleLevel: nil)
            let row = cache.cached("row", ttl: .seconds(600)) { (number: Int) in number }
            for number in 0..<200 { _ = try await row(number) }
            await cache.drain()
            /// The share of hits among 640 calls of 64 tasks.
            func hitRate() async throws -> Double {
                let before = statistics.snapshot.hits
                try await withThrowingTaskGroup { group in
                    for task in 0..<64 {
                        group.addTask { for call in 0..<10 { _ = try await row((task * 10 + call) % 200) } }
                    }
                    try await group.waitForAll()
                }
                return Double(statistics.snapshot.hits - before) / 640
            }
            #expect(try await hitRate() == 1)
            server.suspend()
            while store.status[0].isAvailable { _ = try await row(0) }
            #expect(try await hitRate() == 0)
            server.resume()
            // It takes at most a second, for the probe; the bound is for machines that have much else to do.
            let time = try await seconds { try await eventually { try await hitRate() >= 0.99 } }
            #expect(time < 10, "\(time) s")
        }
    }

    @Test("a server that nothing listens for is probed by the store, and asked when it is there")
    func notYetThere() async throws {
        let server = try MemcachedProcess()
        server.stop()
        try await withServers([server.address], configuration: configuration()) { store async throws in
            await #expect(throws: CacheError.self) { try await store.get(key) }
            #expect(!store.status[0].isAvailable)
            try server.start()
            defer { server.stop() }
            try await eventually { store.status[0].isAvailable }
            #expect(try await store.get(key) == nil)
        }
    }

    @Test("more calls than may wait fail at once")
    func backpressure() async throws {
        let server = try MemcachedProcess()
        defer { server.stop() }
        let configuration = configuration {
            $0.maximumWaiting = 50
            $0.operationTimeout = .seconds(60)
        }
        try await withServers([server.address], configuration: configuration) { store async throws in
            _ = try await store.get(key)
            server.suspend()
            let overloaded = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<1000 {
                    group.addTask {
                        do { _ = try await store.get(key) } catch let error as CacheError {
                            #expect(error.code == .overloaded)
                            overloaded.increment()
                        }
                    }
                }
                try await eventually { overloaded.value > 0 && store.waiting <= 50 }
                server.resume()
                try await group.waitForAll()
            }
            #expect(overloaded.value > 0)
            #expect(try await store.get(key) == nil)
        }
    }
}
