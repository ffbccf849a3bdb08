import CacheUtils
import Memcached
import MemcachedProcess
import TestSupport
import Testing

/// What libmemcached can do wrong, each trap with the server that springs it.
@Suite("Traps of libmemcached", .timeLimit(.minutes(5)))
struct MemcachedTrapTests {
    private let key = StoreKey(trusted: Array("key".utf8))
    private let configuration = MemcachedStore.Configuration(
        operationTimeout: .seconds(60), connectTimeout: .seconds(60))

    private func withFake(
        _ answer: @escaping @Sendable (Int, String) -> FakeMemcached.Answer,
        _ body: (MemcachedStore, FakeMemcached) async throws -> Void
    ) async throws {
        let server = try FakeMemcached(answer)
        let store = try MemcachedStore(servers: [server.address], configuration: configuration)
        try await body(store, server)
        await store.shutdown()
        server.stop()
    }

    @Test("a CAS id of 0, which would run the value as a command, cannot be made")
    func casZero() { #expect(StoreItem.CAS(rawValue: 0) == nil) }

    @Test(
        "an error in place of an answer is an error, not a miss",
        arguments: [
            ["SERVER_ERROR out of memory"], ["ERROR"], ["CLIENT_ERROR bad"], ["SERVER_ERROR a b c"],
        ])
    func maskedErrors(reply: [String]) async throws {
        try await withFake({ _, _ in .say(lines: reply) }) { store, _ async throws in
            await #expect(throws: CacheError.self) { try await store.get(key) }
            await #expect(throws: CacheError.self) { try await store.get([key, StoreKey("b")]) }
            await #expect(throws: CacheError.self) { try await store.delete(key) }
        }
    }

    @Test("after an error the next question is asked on a new connection, away from stray replies")
    func strayReplies() async throws {
        let stray = "ERROR\r\nVALUE key 0 5 7\r\nstray\r\nEND\r\n"
        try await withFake({ number, line in
            if number == 0 { return .say(stray) }
            return line.hasPrefix("get") ? .say("VALUE key 0 4 9\r\ngood\r\nEND\r\n") : .silence
        }) { store, _ async throws in
            await #expect(throws: CacheError.self) { try await store.get(key) }
            #expect(try await store.get(key)?.bytes == Array("good".utf8))
        }
    }

    @Test(
        "the value of another key is never taken for the one that was asked for",
        arguments: [
            ["VALUE other 0 1 5", "x", "END"], ["VALUE ke 0 1 5", "x", "END"], ["VALUE keyy 0 1 5", "x", "END"],
            ["VALUE key 0 -1 5", "x", "END"], ["VALUE key 0 99999999999999999999999 5", "x", "END"],
            ["VALUE key 0 1 5", "x", "VALUE key 0 1 5", "y", "END"], ["VALUE key 0 1", "x", "END"],
        ])
    func foreignKeys(reply: [String]) async throws {
        try await withFake({ _, _ in .say(lines: reply) }) { store, _ async throws in
            await #expect(throws: CacheError.self) { try await store.get(key) }
        }
    }

    @Test("a server that sends no CAS ids is told from a broken one")
    func noCAS() async throws {
        try await withMemcached(options: ["-C"]) { store, _ async throws in
            for _ in 1...2 {
                let error = await #expect(throws: CacheError.self) { try await store.get(key) }
                #expect(error?.message.contains("without -C") == true)
            }
        }
    }

    @Test("an answer that breaks off is an error, and is asked for once more on a new connection")
    func truncated() async throws {
        let cut = "VALUE key 0 10 5\r\nabc"
        try await withFake({ _, _ in .hangUp(cut) }) { store, server async throws in
            let error = await #expect(throws: CacheError.self) { try await store.get(key) }
            #expect(server.received.filter { $0.hasPrefix("get") }.count == 2, "\(error?.description ?? "")")
        }
        try await withFake({ number, _ in
            number == 0 ? .hangUp(cut) : .say("VALUE key 0 2 5\r\nok\r\nEND\r\n")
        }) { store, _ async throws in
            #expect(try await store.get(key)?.bytes == Array("ok".utf8))
        }
    }

    @Test("a write that may have taken place is not repeated unless that does no harm")
    func repeats() async throws {
        try await withFake({ _, line in line.contains(" ") ? .hangUp("") : .silence }) { store, server async throws in
            await #expect(throws: CacheError.self) { try await store.add(key, value: [1], expiry: nil) }
            #expect(server.received.filter { $0.hasPrefix("add") }.count == 1)
            await #expect(throws: CacheError.self) { try await store.delete(key) }
            #expect(server.received.filter { $0.hasPrefix("delete") }.count == 2)
            await #expect(throws: CacheError.self) { try await store.set(key, value: [1], expiry: nil) }
            #expect(server.received.filter { $0.hasPrefix("set") }.count == 1)
        }
    }

    @Test("a late answer to what timed out is not taken for the answer to what is asked next")
    func lateAnswers() async throws {
        var configuration = configuration
        configuration.operationTimeout = .seconds(1)
        try await withMemcached(configuration: configuration) { store, server async throws in
            for number in 0..<10 { try await store.set(StoreKey("k\(number)"), value: [UInt8(number)], expiry: nil) }
            server.suspend()
            await #expect(throws: CacheError.self) { try await store.get(StoreKey("k1")) }
            await #expect(throws: CacheError.self) { try await store.delete(StoreKey("k2")) }
            server.resume()
            try await eventually { store.status[0].isAvailable }
            for number in 3..<10 {
                #expect(try await store.get(StoreKey("k\(number)"))?.bytes == [UInt8(number)])
            }
        }
    }

    @Test("results are fetched into storage of our own, through thousands of batches of all sizes")
    func ownedResult() async throws {
        try await withMemcached { store, _ async throws in
            let keys = try (0..<64).map { try StoreKey("k\($0)") }
            for (number, key) in keys.enumerated() {
                try await store.set(
                    key, value: [UInt8](repeating: UInt8(number), count: number * number * 8), expiry: nil)
            }
            for round in 0..<2000 {
                let asked = (0..<(round % 20)).map { (round * 7 + $0 * 13) % 80 }
                let items = try await store.get(asked.map { $0 < 64 ? keys[$0] : try StoreKey("missing\($0)") })
                for (number, item) in zip(asked, items) {
                    let expected = number < 64 ? [UInt8](repeating: UInt8(number), count: number * number * 8) : nil
                    #expect(item?.bytes == expected)
                }
            }
        }
    }

    @Test("a value over the item limit is an error that says so, and the connection stays in step")
    func tooLarge() async throws {
        try await withMemcached { store, _ async throws in
            for size in [1024 * 1024, 1024 * 1024 + 1, 5 * 1024 * 1024] {
                let error = await #expect(throws: CacheError.self) {
                    try await store.set(key, value: [UInt8](repeating: 0, count: size), expiry: nil)
                }
                #expect(error?.code == .valueTooLarge)
                #expect(try await store.get(key) == nil)
                try await store.set(key, value: [1], expiry: nil)
                #expect(try await store.get(key)?.bytes == [1])
            }
        }
    }
}
