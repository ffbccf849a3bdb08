import CLibMemcached
import MintCache
import Testing

@testable import Memcached

@Suite("The ring")
struct RingTests {
    private func servers(_ addresses: [String]) throws -> [MemcachedServer] {
        try addresses.map { try MemcachedServer($0) }
    }

    @Test(
        "maps every key as another libmemcached client with weighted ketama does",
        arguments: [
            ["10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.3:11212"],
            ["10.0.0.1:11211/?1", "10.0.0.2:11211/?2", "cache3:11311/?5"],
            ["/tmp/a.sock", "/tmp/b.sock/?3"],
        ])
    func agrees(addresses: [String]) throws {
        let ring = try Ring(servers(addresses))
        // The other client adds its servers first and sets its behaviour then, as pylibmc does.
        let other = try #require(memcached_create(nil))
        defer { memcached_free(other) }
        for server in try servers(addresses) {
            switch server.endpoint {
            case .tcp(let host, let port): memcached_server_add_with_weight(other, host, port, server.weight)
            case .unix(let path): memcached_server_add_unix_socket_with_weight(other, path, server.weight)
            }
        }
        #expect(memcached_behavior_set(other, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1) == MEMCACHED_SUCCESS)
        var mismatches = 0
        var counts = [Int](repeating: 0, count: addresses.count)
        for number in 0..<10_000 {
            let key = "shop:7:City.get(\"\(number)\")"
            let server = ring.server(for: try StoreKey(key))
            if server != Int(memcached_generate_hash(other, key, key.utf8.count)) { mismatches += 1 }
            counts[server] += 1
        }
        #expect(mismatches == 0)
        #expect(counts.allSatisfy { $0 > 500 })
    }

    @Test("gives servers keys in proportion to their weights")
    func weights() throws {
        let ring = try Ring(servers(["a:1/?1", "b:1/?3"]))
        let second = try (0..<20_000).count { ring.server(for: try StoreKey("key:\($0)")) == 1 }
        #expect((13_000..<17_000).contains(second))
    }

    @Test("moves only the keys of a server that goes")
    func consistency() throws {
        let full = try Ring(servers(["a:1", "b:1", "c:1", "d:1"]))
        let less = try Ring(servers(["a:1", "b:1", "c:1"]))
        var moved = 0
        for number in 0..<10_000 {
            let key = try StoreKey("key:\(number)")
            let before = full.server(for: key)
            if before != 3, less.server(for: key) != before { moved += 1 }
        }
        #expect(moved < 500)
    }
}
