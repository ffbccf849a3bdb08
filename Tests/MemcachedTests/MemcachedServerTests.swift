import MintCache
import Testing

@testable import Memcached

@Suite("A server address")
struct MemcachedServerTests {
    @Test(
        "is read in all its forms",
        arguments: [
            ("127.0.0.1:11212", MemcachedServer.Endpoint.tcp(host: "127.0.0.1", port: 11212), UInt32(1)),
            ("cache1", .tcp(host: "cache1", port: 11211), 1),
            ("[::1]:11211", .tcp(host: "::1", port: 11211), 1),
            ("[fe80::1]", .tcp(host: "fe80::1", port: 11211), 1),
            ("/run/memcached.sock", .unix(path: "/run/memcached.sock"), 1),
            ("cache1:1/?7", .tcp(host: "cache1", port: 1), 7),
            ("/run/m.sock/?2", .unix(path: "/run/m.sock"), 2),
        ])
    func forms(address: String, endpoint: MemcachedServer.Endpoint, weight: UInt32) throws {
        let server = try MemcachedServer(address)
        #expect(server.endpoint == endpoint)
        #expect(server.weight == weight)
        #expect(try MemcachedServer(server.description) == server)
    }

    @Test(
        "that is malformed is an error that names it and says why",
        arguments: [
            ("", "is empty"), ("a b:11211", "space"), ("host:0", "port '0'"), ("host:65536", "port '65536'"),
            ("host:", "port ''"), ("host:+1", "port '+1'"), ("host:eleven", "port 'eleven'"), (":11211", "no host"),
            ("::1", "IPv6"), ("::1:11211", "IPv6"), ("[::1:11211", "no ]"), ("[]:1", "[host]:port"),
            ("[zz]:1", "[host]:port"),
            ("foo/bar", "slash"), ("tmp/m.sock", "slash"), ("a,b", "comma"), ("a:1,b:2", "comma"),
            ("user@host", "letters"),
            ("http://127.0.0.1:11211", "URL"), ("/", "folder"),
            ("[::1]11211", "[host]:port"),
            ("host:1/?0", "weight 0"), ("host:1/?x", "weight 'x'"), ("host:1/?70000", "weight 70000"),
            ("/" + String(repeating: "x", count: 107), "longer than a socket path"),
            ("host\u{7F}", "control character"),
        ])
    func malformed(address: String, reason: String) throws {
        let error = #expect(throws: CacheError.self) { try MemcachedServer(address) }
        #expect(error?.code == .invalidServer)
        #expect(error?.message.contains("'\(address)'") == true)
        #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
    }

    @Test("list that is empty is an error, as a literal too")
    func emptyList() {
        #expect(throws: CacheError.self) { try MemcachedStore(servers: []) }
    }

    @Test("is listed once, and in a list that is not empty")
    func lists() throws {
        for servers in [
            [], ["a", "a:11211"], ["A:1", "a:1"], ["/x", "b", "/x"], ["[::1]", "[::1]:11211/?2"],
            ["/tmp/x", "/tmp//x"],
        ] {
            let error = #expect(throws: CacheError.self) { try MemcachedStore(servers: servers) }
            #expect(error?.code == .invalidServer)
        }
    }
}

@Suite("A configuration")
struct ConfigurationTests {
    @Test(
        "out of its range is an error that names the parameter and the range",
        arguments: [
            (MemcachedStore.Configuration(conversationsPerServer: 0), "conversationsPerServer"),
            (MemcachedStore.Configuration(conversationsPerServer: 17), "conversationsPerServer"),
            (MemcachedStore.Configuration(operationTimeout: .zero), "operationTimeout"),
            (MemcachedStore.Configuration(operationTimeout: .seconds(-1)), "operationTimeout"),
            (MemcachedStore.Configuration(connectTimeout: .seconds(7200)), "connectTimeout"),
            (MemcachedStore.Configuration(maximumBatch: 0), "maximumBatch"),
            (MemcachedStore.Configuration(maximumBatch: 1001), "maximumBatch"),
        ])
    func ranges(configuration: MemcachedStore.Configuration, parameter: String) throws {
        let error = #expect(throws: CacheError.self) {
            try MemcachedStore(servers: ["127.0.0.1"], configuration: configuration)
        }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains(parameter) == true)
    }
}
