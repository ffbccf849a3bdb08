import CacheUtils
import Memcached
import MemcachedProcess
import Testing
import TestSupport

/// The stores that every promise is tested on. A third store joins here.
enum StoreKind: CaseIterable, Sendable, CustomTestStringConvertible {
    case inMemory
    case memcached
    case memcachedOverSocket
    /// Each write acknowledged by itself.
    case acknowledged
    /// Tasks resumed by Swift's executor.
    case resumedElsewhere
    case twoServers
    /// Behind a proxy.
    case proxyOfTwo
    case proxyOfThree

    /// Those that every promise of a cache is tested on. What is special about the others is special in the store: it
    /// has them all.
    static let allCases: [StoreKind] = [.inMemory, .memcached, .memcachedOverSocket]
    static let everyStore = allCases + [.acknowledged, .resumedElsewhere, .twoServers, .proxyOfTwo, .proxyOfThree]

    var testDescription: String {
        switch self {
        case .inMemory: "in memory"
        case .memcached: "memcached over TCP"
        case .memcachedOverSocket: "memcached over a UNIX socket"
        case .acknowledged: "memcached that acknowledges each write"
        case .resumedElsewhere: "memcached, tasks resumed elsewhere"
        case .twoServers: "two servers"
        case .proxyOfTwo: "two servers behind a proxy"
        case .proxyOfThree: "three servers behind a proxy"
        }
    }

    /// Runs a test on an empty store of this kind, with a server of its own where it needs one.
    func withStore(_ body: (any CacheStore) async throws -> Void) async throws {
        switch self {
        case .inMemory: try await body(InMemoryStore())
        case .memcached: try await withMemcached(.tcp) { store, _ in try await body(store) }
        case .memcachedOverSocket: try await withMemcached(.unixSocket) { store, _ in try await body(store) }
        case .acknowledged:
            var configuration = testConfiguration
            configuration.acknowledgesWrites = true
            try await withMemcached(configuration: configuration) { store, _ in try await body(store) }
        case .resumedElsewhere:
            var configuration = testConfiguration
            configuration.resumesTasks = false
            try await withMemcached(configuration: configuration) { store, _ in try await body(store) }
        case .twoServers:
            let servers = try [MemcachedProcess(), MemcachedProcess()]
            defer { for server in servers { server.stop() } }
            try await withServers(servers.map(\.address)) { try await body($0) }
        case .proxyOfTwo: try await withProxy(of: 2) { store, _ in try await body(store) }
        case .proxyOfThree: try await withProxy(of: 3) { store, _ in try await body(store) }
        }
    }
}

/// Runs a test on a store and the memcached server that it talks to, which ends with the test.
func withMemcached(
    _ listener: MemcachedProcess.Listener = .tcp,
    options: [String] = [],
    configuration: MemcachedStore.Configuration = testConfiguration,
    _ body: (MemcachedStore, MemcachedProcess) async throws -> Void
) async throws {
    let server = try MemcachedProcess(listener, options: options)
    defer { server.stop() }
    try await withServers([server.address], configuration: configuration) { try await body($0, server) }
}

/// Runs a test on a store and the proxy that it talks to.
func withProxy(
    of serverCount: Int, options: [String] = [],
    configuration: MemcachedStore.Configuration = testConfiguration,
    _ body: (MemcachedStore, ProxyProcess) async throws -> Void
) async throws {
    let proxy = try ProxyProcess(serverCount: serverCount, options: options)
    defer { proxy.stop() }
    try await withServers([proxy.address], configuration: configuration) { try await body($0, proxy) }
}

/// Runs a test on a store, which is shut down after.
func withServers(
    _ addresses: [String], configuration: MemcachedStore.Configuration = testConfiguration,
    _ body: (MemcachedStore) async throws -> Void
) async throws {
    let store = try MemcachedStore(servers: addresses, configuration: configuration)
    do {
        try await body(store)
    } catch {
        await store.shutdown()
        throw error
    }
    await store.shutdown()
}

/// Patient with a machine that runs many tests at once.
let testConfiguration = MemcachedStore.Configuration(operationTimeout: .seconds(60), connectTimeout: .seconds(60))
