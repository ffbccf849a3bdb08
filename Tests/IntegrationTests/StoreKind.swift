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

    var testDescription: String {
        switch self {
        case .inMemory: "in memory"
        case .memcached: "memcached over TCP"
        case .memcachedOverSocket: "memcached over a UNIX socket"
        }
    }

    /// Runs a test on an empty store of this kind, with a server of its own where it needs one.
    func withStore(_ body: (any CacheStore) async throws -> Void) async throws {
        switch self {
        case .inMemory: try await body(InMemoryStore())
        case .memcached: try await withMemcached(.tcp) { store, _ in try await body(store) }
        case .memcachedOverSocket: try await withMemcached(.unixSocket) { store, _ in try await body(store) }
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
    let store = try MemcachedStore(servers: [server.address], configuration: configuration)
    do {
        try await body(store, server)
    } catch {
        await store.shutdown()
        throw error
    }
    await store.shutdown()
}

/// Patient with a machine that runs many tests at once.
let testConfiguration = MemcachedStore.Configuration(operationTimeout: .seconds(60), connectTimeout: .seconds(60))
