import CacheUtils
import Foundation
import Memcached
import MemcachedProcess
import TestSupport
import Testing

@Suite("The memcached store", .timeLimit(.minutes(5)))
struct MemcachedStoreTests {
    private let key = StoreKey(trusted: Array("key".utf8))

    @Test("finishes what is queued when it is shut down, and refuses what comes later")
    func shutdown() async throws {
        let server = try MemcachedProcess(.unixSocket)
        defer { server.stop() }
        let store = try MemcachedStore(servers: [server.address], configuration: testConfiguration)
        try await store.set(key, value: [1], expiry: nil)
        server.suspend()
        // More than the two connections take at once.
        let reads = (0..<1000).map { _ in Task { try await store.get(key)?.bytes } }
        let write = Task { try await store.add(StoreKey("other"), value: [2], expiry: nil) }
        try await eventually { store.waiting > 300 }
        let closings = (0..<3).map { _ in Task { await store.shutdown() } }
        server.resume()
        var answered = 0
        for read in reads {
            // What had not been queued yet when the store was closed is refused, and nothing else can happen.
            do {
                #expect(try await read.value == [1])
                answered += 1
            } catch let error as CacheError {
                #expect(error.code == .shutDown)
            }
        }
        #expect(answered > 300)
        _ = try? await write.value
        for closing in closings { await closing.value }
        for use in [
            { _ = try await store.get(key) }, { _ = try await store.get([key, StoreKey("b")]) },
            { try await store.set(key, value: [], expiry: nil) }, { _ = try await store.delete(key) },
            { try await store.flush() },
        ] as [() async throws -> Void] {
            let error = await #expect(throws: CacheError.self) { try await use() }
            #expect(error?.code == .shutDown)
        }
        await store.shutdown()
    }

    @Test("goes without being shut down, with its threads", .enabled(if: threadCount > 0, "needs /proc"))
    func abandoned() async {
        // In a process of its own, whose threads are all counted.
        await #expect(processExitsWith: .success) {
            let server = try MemcachedProcess()
            defer { server.stop() }
            func useStore() async throws -> () -> MemcachedStore? {
                let store = try MemcachedStore(servers: [server.address])
                try await store.set(StoreKey("key"), value: [1], expiry: nil)
                return { [weak store] in store }
            }
            let first = try await useStore()
            try await eventually { first() == nil }
            let before = threadCount
            // Three threads each. The runtime has some that come and go.
            for _ in 0..<20 {
                let abandoned = try await useStore()
                try await eventually { abandoned() == nil }
            }
            try await eventually { threadCount < before + 10 }
        }
    }

    @Test("lets a cancelled task go at once, and its batch-mates get their answers")
    func cancellation() async throws {
        try await withMemcached { store, server async throws in
            try await store.set(key, value: [1], expiry: nil)
            server.suspend()
            // More than the two connections take at once.
            let tasks = (0..<1000).map { _ in Task { try await store.get(key)?.bytes } }
            let write = Task { try await store.delete(StoreKey("x")) }
            try await eventually { store.waiting >= 50 }
            for task in tasks[..<500] { task.cancel() }
            write.cancel()
            // The server is still suspended: these end without it.
            for task in tasks[..<500] { await #expect(throws: CancellationError.self) { try await task.value } }
            await #expect(throws: CancellationError.self) { try await write.value }
            server.resume()
            for task in tasks[500...] { #expect(try await task.value == [1]) }
        }
    }

    @Test("invalidates at the first attempt after its server was restarted")
    func restartedServer() async throws {
        try await withMemcached { store, server async throws in
            let bench = Bench(store)
            let city = bench.city()
            for _ in 0..<20 { _ = try await city.refresh("paris") }
            server.stop()
            try server.start()
            try await bench.cache.invalidate(group: "cities")
            try await city.invalidate("paris")
        }
    }

    @Test("spreads keys over a fleet, and one dead server costs the others nothing")
    func fleet() async throws {
        let servers = try [MemcachedProcess(.tcp), MemcachedProcess(.unixSocket), MemcachedProcess(.tcp)]
        defer { for server in servers { server.stop() } }
        let store = try MemcachedStore(
            servers: [
                MemcachedServer(servers[0].address), MemcachedServer(servers[1].address, weight: 2),
                MemcachedServer(servers[2].address),
            ], configuration: testConfiguration)
        let keys = try (0..<300).map { try StoreKey("key:\($0)") }
        for (number, key) in keys.enumerated() { try await store.set(key, value: Array("\(number)".utf8), expiry: nil) }
        let items = try await store.get(keys)
        for (number, item) in items.enumerated() { #expect(item?.bytes == Array("\(number)".utf8)) }
        servers[1].stop()
        var (found, failed) = (0, 0)
        for (number, key) in keys.enumerated() {
            do {
                #expect(try await store.get(key)?.bytes == Array("\(number)".utf8))
                found += 1
            } catch is CacheError {
                failed += 1
            }
        }
        #expect((60..<240).contains(found))
        #expect(found + failed == 300)

        // A value and its groups on different servers, one of them dead: the loader runs.
        let bench = Bench(store, clock: ManualClock(advancesInSleep: true))
        for number in 0..<50 {
            let city = bench.city(groups: ["a", "b", "c", "d"])
            #expect(try await city("\(number)").name == "\(number)")
        }
        try servers[1].start()
        // Each connection finds out by itself that the server is back. Then everything is cached again.
        try await eventually {
            let queries = await bench.database.queries
            for number in 0..<50 { _ = try await bench.city(groups: ["a", "b", "c", "d"])("\(number)") }
            return await bench.database.queries == queries
        }
        await store.shutdown()
    }

    @Test("lets gets that queue up leave together, each key once")
    func coalescing() async throws {
        let gets = Counter()
        let server = try FakeMemcached { _, line in
            guard line.hasPrefix("gets ") else { return .silence }
            gets.increment()
            let keys = line.split(separator: " ").dropFirst()
            return .say(keys.map { "VALUE \($0) 0 1 5\r\nx\r\n" }.joined() + "END\r\n")
        }
        let store = try MemcachedStore(
            servers: [server.address],
            configuration: .init(operationTimeout: .seconds(60), maximumBatch: 100))
        try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
            for number in 0..<5000 {
                group.addTask { try await store.get(StoreKey("key:\(number % 50)"))?.bytes }
            }
            for try await value in group { #expect(value == Array("x".utf8)) }
        }
        #expect(gets.value < 1000, "\(gets.value) lines for 5,000 gets")
        for line in server.received where line.hasPrefix("gets ") {
            let keys = line.split(separator: " ").dropFirst()
            #expect(Set(keys).count == keys.count)
        }
        await store.shutdown()
        server.stop()
    }
}

/// How many threads this process has; 0 where the system does not say.
private var threadCount: Int {
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count) ?? 0
}
