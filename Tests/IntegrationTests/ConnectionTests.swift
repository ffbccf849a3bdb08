import CacheUtils
import Foundation
import Memcached
import MemcachedProcess
import Synchronization
import TestSupport
import Testing

/// What becomes of connections, in networks and by servers.
@Suite("A connection", .timeLimit(.minutes(5)))
struct ConnectionTests {
    private let key = StoreKey(trusted: Array("key".utf8))

    private func withRelay(
        configuration: MemcachedStore.Configuration = testConfiguration,
        say: @escaping @Sendable (Int, [UInt8]) -> [UInt8] = { $1 },
        _ body: (MemcachedStore, Relay, MemcachedProcess) async throws -> Void
    ) async throws {
        let server = try MemcachedProcess()
        let relay = try Relay(toPort: server.port, say: say)
        defer {
            relay.stop()
            server.stop()
        }
        try await withServers([relay.address], configuration: configuration) { try await body($0, relay, server) }
    }

    @Test("that the server has closed for being idle is renewed before a write that may not be sent twice")
    func idleTimeout() async throws {
        try await withMemcached(options: ["-o", "idle_timeout=1"]) { store, _ async throws in
            try await store.set(key, value: [1], expiry: nil)
            #expect(try await store.writeUnique(StoreKey("a"), value: [1], over: nil, expiry: nil).isStored)
            // The server looks every few seconds.
            try await Task.sleep(for: .seconds(8))
            try await store.set(key, value: [2], expiry: nil)
            #expect(try await store.writeUnique(StoreKey("b"), value: [1], over: nil, expiry: nil).isStored)
            #expect(try await store.add(StoreKey("c"), value: [1], expiry: nil).isStored)
            #expect(try await store.get(key)?.bytes == [2])
        }
    }

    @Test("that a firewall has forgotten is renewed before use, and no caller pays for it")
    func forgotten() async throws {
        var configuration = testConfiguration
        configuration.maximumIdle = .seconds(1)
        try await withRelay(configuration: configuration) { store, relay, _ async throws in
            let bench = Bench(store)
            _ = try await bench.city()("paris")
            await bench.settle()
            relay.forgetConnections()
            try await Task.sleep(for: .seconds(2))
            // These would wait for the operation timeout of a minute.
            try await bench.city().invalidate("paris")
            _ = try await bench.city()("paris")
            await bench.settle()
            #expect(bench.statistics.snapshot.storeTroubles == 0)
        }
    }

    @Test("that breaks costs no read: it is asked again on a new one, and the writes that were with it are trouble")
    func broken() async throws {
        try await withRelay { store, relay, _ async throws in
            try await store.set(key, value: [1], expiry: nil)
            for _ in 1...5 {
                _ = try await store.get(key)
                relay.cut()
                #expect(try await store.get(key)?.bytes == [1])
                #expect(try await store.delete(StoreKey("other")) == false)
            }
        }
    }

    @Test("256 grouped hits of keys of up to 24 bytes are one line")
    func oneLine() async throws {
        try await withRelay { store, relay, server async throws in
            let groups = [try StoreKey("shop:@cities")]
            let keys = try (100..<356).map { try StoreKey("shop:7:City.get(\"\($0)\")" + "ab") }
            #expect(keys.allSatisfy { $0.bytes.count == 24 })
            _ = try await store.get(keys[0])
            // Those that come while the server does not answer wait in the queue, or are one exchange already.
            server.suspend()
            relay.forgetLines()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for key in keys { group.addTask { _ = try await store.get(key, with: groups) } }
                // All have asked: they are in an exchange or in the queue.
                for _ in 0..<2000 { await Task.yield() }
                server.resume()
                try await group.waitForAll()
            }
            let gets = relay.lines.filter { $0.hasPrefix("gets ") }
            // Half of what is open, and the groups of all once.
            #expect(gets.contains { $0.split(separator: " ").count >= 66 })
            #expect(gets.count <= 12)
        }
    }

    // MARK: Errors among the items

    @Test(
        "with an error line before, among or after the items fails no key that can be read, and ends",
        arguments: [0, 1, 2])
    func errorLine(place: Int) async throws {
        let error = "SERVER_ERROR backend down\r\n"
        let server = try FakeMemcached { _, line in
            let keys = line.split(separator: " ").dropFirst().map(String.init)
            let items = keys.filter { $0 != "bad" }.map { "VALUE \($0) 0 1 5\r\nx\r\n" }
            guard keys.contains("bad") else { return .say(items.joined() + "END\r\n") }
            switch place {
            case 0: return .say(error + items.joined() + "END\r\n")
            case 1: return .say(items.prefix(1).joined() + error + items.dropFirst().joined() + "END\r\n")
            default: return .say(items.joined() + error)
            }
        }
        defer { server.stop() }
        try await withServers([server.address]) { store async throws in
            let keys = try ["a", "b", "bad", "c"].map { try StoreKey($0) }
            for _ in 1...3 {
                let found = try await withThrowingTaskGroup(of: Int.self) { group in
                    for (number, key) in keys.enumerated() {
                        group.addTask { (try? await store.get(key)) == nil ? 0 : 1 << number }
                    }
                    return try await group.reduce(0, |)
                }
                #expect(found == 0b1011)
            }
        }
    }

    // MARK: Names

    @Test("an address that does not resolve is an error that names the host and the resolver's reason")
    func unresolved() async throws {
        try await withServers(["no-such-host.invalid"]) { store async throws in
            let error = await #expect(throws: CacheError.self) { try await store.get(key) }
            #expect(error?.code == .unavailable)
            #expect(error?.message.contains("no-such-host.invalid") == true)
            #expect(error?.message.contains("cannot be looked up") == true)
        }
    }

    @Test("to localhost goes to the address of the name that accepts it")
    func localhost() async throws {
        try await withMemcached { _, server async throws in
            try await withServers(["localhost:\(server.port)"]) { store async throws in
                try await store.set(key, value: [1], expiry: nil)
                #expect(try await store.get(key)?.bytes == [1])
            }
        }
    }

    // MARK: Servers

    @Test("to a server that wants authentication is made with a user and a password, and says so without")
    func authentication() async throws {
        let file = try AuthenticationFile()
        func configuration(_ password: String?) -> MemcachedStore.Configuration {
            var configuration = testConfiguration
            configuration.authentication = password.map { .init(user: "someone", password: $0) }
            return configuration
        }
        try await withMemcached(options: ["-Y", file.path], configuration: configuration("secret")) {
            store, _ async throws in
            let bench = Bench(store)
            for _ in 1...2 {
                _ = try await bench.city()("paris")
                await bench.settle()
            }
            #expect(await bench.database.queries == 1)
            try await bench.city().invalidate("paris")
        }
        for (password, words) in [("wrong", "does not accept this user"), (nil, "wants authentication")] {
            try await withMemcached(options: ["-Y", file.path], configuration: configuration(password)) {
                store, _ async throws in
                let bench = Bench(store)
                #expect(try await bench.city()("paris").name == "paris")
                let error = await #expect(throws: CacheError.self) { try await bench.city().invalidate("paris") }
                #expect(error?.code == .unavailable)
                #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
                #expect(error?.message.contains("secret") == false)
            }
        }
        #expect(!"\(configuration("secret"))".contains("secret"))
        #expect(!String(reflecting: configuration("secret")).contains("secret"))
    }

    @Test("to a server that has no connection left is an error that names -c, and reads go on without it")
    func noConnectionLeft() async throws {
        // memcached compares that with the numbers of its descriptors, of which it has some twenty anyway.
        let server = try MemcachedProcess(options: ["-c", "40"])
        defer { server.stop() }
        var others = (0..<60).compactMap { _ in MemcachedProcess.connect(toPort: server.port) }
        defer { for other in others { close(other) } }
        var refused: MemcachedStore?
        // The server notices in its own time that a connection was closed. A store that got the place keeps it, so each
        // attempt is a new store's, and what is free is taken before.
        for _ in 0..<1000 where refused == nil {
            for _ in 0..<3 { if let other = MemcachedProcess.connect(toPort: server.port) { others.append(other) } }
            let store = try MemcachedStore(servers: [server.address], configuration: testConfiguration)
            do { _ = try await store.get(key) } catch let error as CacheError {
                if error.code == .unavailable, error.message.contains("-c") { refused = store }
            }
            if refused == nil { await store.shutdown() }
        }
        let store = try #require(refused)
        let bench = Bench(store)
        #expect(try await bench.city()("paris").name == "paris")
        await store.shutdown()
    }

    @Test("to a server that speaks only the binary protocol is an error that says so")
    func binaryOnly() async throws {
        var configuration = testConfiguration
        configuration.operationTimeout = .seconds(1)
        try await withMemcached(options: ["-B", "binary"], configuration: configuration) { store, _ async throws in
            let error = await #expect(throws: CacheError.self) { try await store.get(key) }
            #expect(error?.code == .timeout || error?.code == .unavailable)
            try await eventually { !store.status[0].isAvailable }
            let later = await #expect(throws: CacheError.self) { try await store.get(key) }
            #expect(later?.message.contains("binary protocol") == true, "\(later?.message ?? "")")
        }
    }

    @Test("to a server that counts CAS ids for each key is refused with an error that says why")
    func idsThatComeAgain() async throws {
        let server = try FakeMemcached(isConnectable: false) { _, line in
            switch line.split(separator: " ").first {
            case "version": .say("VERSION 1.1.9\r\n")
            case "stats": .say("STAT pid 1\r\nEND\r\n")
            case "gets": .say("VALUE \(line.split(separator: " ")[1]) 0 1 1\r\n\u{1}\r\nEND\r\n")
            case "delete": .say("DELETED\r\n")
            case "add": .silence
            default: .say("STORED\r\n")
            }
        }
        defer { server.stop() }
        try await withServers([server.address]) { store async throws in
            let error = await #expect(throws: CacheError.self) { try await store.get(key) }
            #expect(error?.message.contains("CAS ids that come again") == true, "\(error?.message ?? "")")
        }
    }

    @Test("whose check could not be made is good for reads and writes, tells no CAS ids, and is checked again")
    func repeatedCheck() async throws {
        let server = UncheckableServer()
        let fake = try FakeMemcached(isConnectable: false) { server.answer($1) }
        defer { fake.stop() }
        try await withServers([fake.address]) { store async throws in
            let first = try await store.writeUnique(key, value: [0x61], over: nil, expiry: nil)
            #expect(first.isStored && first.cas == nil)
            #expect(try await store.get(key)?.bytes == [0x61])
            server.isCheckable.increment()
            try await eventually {
                try await store.writeUnique(key, value: [0x61], over: nil, expiry: nil).cas != nil
            }
        }
    }

    @Test("over a restart takes no CAS id along that was told before it")
    func restart() async throws {
        try await withMemcached { store, server async throws in
            let other = try MemcachedStore(servers: [server.address], configuration: testConfiguration)
            // All connections are open, so that ids are told that would do for all of them.
            for number in 0..<4 {
                _ = try await store.writeUnique(StoreKey("k\(number)"), value: [1], over: nil, expiry: nil)
            }
            let told = try #require(try await store.writeUnique(key, value: [2], over: nil, expiry: nil).cas)
            #expect(try await store.writeUnique(key, value: [3], over: told, expiry: nil).isStored)
            let last = try #require(try await store.writeUnique(StoreKey("x"), value: [2], over: nil, expiry: nil).cas)
            server.stop()
            try server.start()
            // Another process's items get the same ids.
            var items: [UInt64: StoreKey] = [:]
            for number in 0..<40 {
                let key = try StoreKey("new\(number)")
                try await other.set(key, value: [9], expiry: nil)
                if let item = try await other.get(key) { items[item.cas.rawValue] = key }
            }
            let victim = try #require(items[last.rawValue])
            let write = try? await store.writeUnique(victim, value: [4], over: last, expiry: nil)
            #expect(write?.isStored != true)
            #expect(try await other.get(victim)?.bytes == [9])
            await other.shutdown()
        }
    }
}

/// Answers as memcached does, but that it refuses the items of the check until it is checkable.
private final class UncheckableServer: Sendable {
    let isCheckable = Counter()
    private let numbers = Counter()
    private let isValueNext = Mutex<(isNext: Bool, isOfCheck: Bool)>((false, false))

    func answer(_ line: String) -> FakeMemcached.Answer {
        let words = line.split(separator: " ").map(String.init)
        let isOfCheck = line.contains("cache-utils:check:")
        let value = isValueNext.withLock { exchange(&$0, with: (words.first == "add", isOfCheck)) }
        if value.isNext {
            guard value.isOfCheck else { return .silence }
            return isCheckable.value > 0 ? .say("STORED\r\n") : .say("SERVER_ERROR not now\r\n")
        }
        switch words.first {
        case "version": return .say("VERSION 1.6.18\r\n")
        case "stats": return .say("STAT pid 1\r\nEND\r\n")
        case "delete": return .say("DELETED\r\n")
        case "gets":
            let text = isOfCheck ? "\u{1}" : "a"
            return .say("VALUE \(words[1]) 0 1 \(numbers.increment())\r\n\(text)\r\nEND\r\n")
        default: return .silence
        }
    }
}
