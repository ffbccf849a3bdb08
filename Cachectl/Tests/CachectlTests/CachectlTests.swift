import CacheUtils
import Foundation
import Memcached
import Testing

/// The command on a real server.
@Suite("cachectl", .serialized, .timeLimit(.minutes(2)))
struct CachectlTests {
    /// What a run of the command has come to.
    private struct Run {
        var status: Int32
        var output: String
        var error: String

        var json: Any? { try? JSONSerialization.jsonObject(with: Data(output.utf8)) }
        var object: [String: Any] { json as? [String: Any] ?? [:] }
    }

    /// The command, which is built beside the tests.
    private static let command: URL = {
        let tests = CommandLine.arguments.lazy.compactMap { argument in
            argument.range(of: ".xctest").map { URL(filePath: String(argument[..<$0.upperBound])) }
        }.first
        return (tests ?? URL(filePath: "/")).deletingLastPathComponent().appending(path: "cachectl")
    }()

    private func run(_ arguments: [String]) throws -> Run {
        let process = Process()
        process.executableURL = Self.command
        process.arguments = arguments
        let (output, error) = (Pipe(), Pipe())
        (process.standardOutput, process.standardError) = (output, error)
        try process.run()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        let trouble = try error.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Run(
            status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            error: String(decoding: trouble, as: UTF8.self))
    }

    /// Does something with a memcached of the test's own.
    private func withServer(_ body: (_ address: String, Cache) async throws -> Void) async throws {
        let server = Process()
        let port = Int.random(in: 25_000..<31_000)
        server.executableURL = URL(filePath: "/usr/bin/env")
        server.arguments = ["memcached", "-u", "root", "-l", "127.0.0.1", "-p", "\(port)", "-t", "1"]
        try server.run()
        // What a test process started may have signals blocked that would end it.
        defer { kill(server.processIdentifier, SIGKILL) }
        let address = "127.0.0.1:\(port)"
        let store = try MemcachedStore(servers: [address], instrumentation: .none)
        // Until it listens.
        var tries = 0
        while true {
            do {
                _ = try await store.get(StoreKey("k"))
                break
            } catch {
                tries += 1
                guard tries < 200 else { throw error }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
        try await body(address, Cache(store: store, namespace: "shop", instrumentation: .none))
        await store.shutdown()
    }

    private func city(in cache: Cache) -> CachedFunction<String, String> {
        cache.cached("City.get", ttl: .seconds(60), staleFor: .seconds(60), groups: ["cities"]) { (slug: String) in
            "city \(slug)"
        }
    }

    @Test("says of a key what is cached, and why it would be a miss")
    func get() async throws {
        try await withServer { address, cache in
            let city = city(in: cache)
            _ = try await city("paris")
            await cache.drain()
            let key = "shop:1:City.get(\"paris\")"
            let hit = try run(["get", key, "--servers", address])
            #expect(hit.status == 0)
            #expect(hit.output.contains("a hit, fresh for"))
            #expect(hit.output.contains("shop:@cities"))
            #expect(hit.output.contains("city paris"))

            let report = try run(["get", key, "-s", address, "--json"]).object
            #expect(report["kind"] as? String == "value")
            #expect(report["value"] as? String == "city paris")
            #expect((report["groups"] as? [[String: Any]])?.first?["state"] as? String == "current")

            try await cache.invalidate(group: "cities")
            let miss = try run(["get", key, "-s", address])
            #expect(miss.output.contains("a miss: its group shop:@cities was invalidated"))
            // The same, told by name.
            let named = try run(["get", key, "-s", address, "--group", "cities"])
            #expect(named.output.contains("a miss: its group shop:@cities was invalidated"))

            try await cache.expire(group: "cities")
            _ = try await city("lyon")
            await cache.drain()
            try await city.expire("lyon")
            let stale = try run(["get", "shop:1:City.get(\"lyon\")", "-s", address])
            #expect(stale.output.contains("stale: it was expired"))

            let group = try run(["get", "shop:@cities", "-s", address])
            #expect(group.output.contains("the generation of a group"))
            let missing = try run(["get", "shop:1:City.get(\"oslo\")", "-s", address])
            #expect(missing.status == 3)
            #expect(missing.output.hasPrefix("Nothing is cached"))
        }
    }

    @Test("lists the keys of a namespace")
    func list() async throws {
        try await withServer { address, cache in
            let city = city(in: cache)
            for slug in ["paris", "lyon", "the \"moon\"%20"] { _ = try await city(slug) }
            _ = try await cache.value(forKey: "offers") { 1 }
            _ = try await cache.cached("City.other", ttl: .seconds(60)) { 1 }()
            await cache.drain()
            let all = try run(["list", "--namespace", "shop", "-s", address])
            #expect(all.output.contains("6 keys"))
            let some = try run(["list", "--namespace", "shop", "--function", "City.get", "-s", address, "--json"])
            let keys = (some.json as? [[String: Any]])?.compactMap { $0["key"] as? String }
            #expect(try keys == [city.key("lyon"), city.key("paris"), city.key("the \"moon\"%20")].map(\.description))
            let none = try run(["list", "--namespace", "blog", "-s", address])
            #expect(none.output == "0 keys\n")
            let few = try run(["list", "--namespace", "shop", "--limit", "2", "-s", address])
            #expect(few.output.contains("6 keys, of which 2 are shown"))
        }
    }

    @Test("invalidates a key, and a group")
    func invalidate() async throws {
        try await withServer { address, cache in
            let city = city(in: cache)
            for slug in ["paris", "lyon"] { _ = try await city(slug) }
            await cache.drain()
            let key = try run(["invalidate", "shop:1:City.get(\"paris\")", "-s", address])
            #expect(key.output == "shop:1:City.get(\"paris\") is invalidated.\n")
            #expect(try await city.peek("paris") == nil)
            #expect(try await city.peek("lyon") == "city lyon")
            let group = try run(["invalidate", "--group", "cities", "--namespace", "shop", "-s", address, "--json"])
            #expect(group.object["invalidated"] as? String == "shop:@cities")
            #expect(try await city.peek("lyon") == nil)
            #expect(try run(["invalidate", "-s", address]).status == 64)
            #expect(try run(["invalidate", "--group", "cities", "-s", address]).status == 64)
            #expect(try run(["invalidate", "no key", "-s", address]).status == 64)
            // Its stamps are on all servers.
            #expect(try run(["invalidate", "shop:@cities", "-s", address]).status == 64)
        }
    }

    @Test("says how the servers are, and what is read most")
    func statsAndTop() async throws {
        try await withServer { address, cache in
            let city = city(in: cache)
            _ = try await city("paris")
            await cache.drain()
            let reader = Task { while !Task.isCancelled { _ = try? await city("paris") } }
            let top = try run(["top", "--seconds", "1", "-s", address, "--json"]).object
            reader.cancel()
            let functions = try #require(top["functions"] as? [[String: Any]])
            #expect(Set(functions.compactMap { $0["function"] as? String }) == ["shop: City.get", "shop: groups"])
            #expect((top["hits"] as? Int ?? 0) > 0)
            let stats = try run(["stats", "-s", address])
            #expect(stats.output.contains(address) && stats.output.contains("HITS"))
            let table = try run(["top", "--seconds", "0.2", "-s", address])
            #expect(table.output.contains("keys were read"))
        }
    }

    @Test("says what is wrong with a server, and ends with 1")
    func trouble() throws {
        for command in [["stats"], ["list", "--namespace", "shop"], ["get", "k"], ["top", "--seconds", "1"]] {
            let run = try run(command + ["-s", "127.0.0.1:1"])
            #expect(run.status == 1)
            #expect(run.error.contains("127.0.0.1:1"))
        }
        #expect(try run(["stats", "-s", "nohost.invalid"]).error.contains("nohost.invalid"))
        #expect(try run(["get", "k", "-s", "a://b"]).status == 64)
    }
}
