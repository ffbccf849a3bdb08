#if Configuration
import CacheUtils
import Configuration
import Memcached
import Testing

/// Stores and caches that are configured by swift-configuration.
@Suite("Configuration", .timeLimit(.minutes(5)))
struct ConfigurationTests {
    private func environment(_ variables: [String: String]) -> ConfigReader {
        ConfigReader(provider: EnvironmentVariablesProvider(environmentVariables: variables))
    }

    @Test("of a policy has each option, durations in milliseconds")
    func policy() throws {
        let policy = try CachePolicy(
            config: environment([
                "TTL": "60000", "NIL_FOR": "5000", "JITTER": "0.25", "EARLY_REFRESH": "1.5", "STALE_FOR": "0",
                "LEASE_FOR": "1000", "LONGEST_LEASE": "4000", "WAITS_FOR_REFRESH": "true", "FAILURE_PAUSE_FIRST": "10",
                "FAILURE_PAUSE_LONGEST": "20", "STALE_IF_ERROR": "90000", "LOAD_TIMEOUT_SOFT": "100",
                "LOAD_TIMEOUT_HARD": "200", "MAXIMUM_LOADS": "8", "MAXIMUM_WAITING_LOADS": "9",
                "SERVE_HELD_FOR": "30000",
            ]))
        #expect(policy.ttl == .seconds(60) && policy.nilFor == .seconds(5) && policy.jitter == 0.25)
        #expect(policy.earlyRefresh == .byChance(beta: 1.5) && policy.staleFor == .zero)
        #expect(policy.leaseFor == .seconds(1) && policy.longestLease == .seconds(4) && policy.refresh == .foreground)
        #expect(policy.failurePause.first == .milliseconds(10) && policy.failurePause.longest == .milliseconds(20))
        #expect(policy.staleIfError.duration == .seconds(90))
        #expect(policy.loadTimeout.soft == .milliseconds(100) && policy.loadTimeout.hard == .milliseconds(200))
        #expect(policy.maximumLoads == 8 && policy.maximumWaitingLoads == 9)
        #expect(policy.whenAway == .serveHeld(for: .seconds(30)))
        #expect(try CachePolicy(config: environment([:])).ttl == CachePolicy().ttl)
    }

    @Test("says what is wrong with a value that cannot be read", arguments: ["TTL", "JITTER", "WAITS_FOR_REFRESH"])
    func malformed(key: String) {
        let error = #expect(throws: CacheError.self) { try CachePolicy(config: environment([key: "soon"])) }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains("'soon'") == true)
    }

    @Test("of a store has its servers and options, and hides the password")
    func store() async throws {
        let config = environment([
            "MEMCACHED_SERVERS": "127.0.0.1:1,127.0.0.1:2", "MEMCACHED_OPERATION_TIMEOUT": "100",
            "MEMCACHED_USER": "shop", "MEMCACHED_PASSWORD": "hush",
        ]).scoped(to: "memcached")
        let store = try MemcachedStore(config: config)
        #expect(store.status.map(\.server.description) == ["127.0.0.1:1", "127.0.0.1:2"])
        let configuration = try MemcachedStore.Configuration(config: config)
        #expect(configuration.operationTimeout == .milliseconds(100))
        #expect(configuration.authentication == .init(user: "shop", password: "hush"))
        await store.shutdown()
        #expect(throws: CacheError.self) { try MemcachedStore(config: environment([:])) }
        #expect(throws: CacheError.self) {
            try MemcachedStore.Configuration(config: environment(["USER": "shop"]))
        }
    }

    @Test("of a cache has its namespace, version and policy")
    func cache() async throws {
        let store = InMemoryStore()
        let cache = try Cache(
            store: store,
            config: ConfigReader(
                provider: InMemoryProvider(values: [
                    "namespace": "shop", "version": "7", "policy.ttl": 1000, "policy.jitter": 0,
                    "invalidatesAlso": .init(.stringArray(["6"]), isSecret: false),
                ])))
        let city = cache.cached("city") { 1 }
        #expect(try city.key().description == "shop:7:city()")
        let unquoted = try Cache(
            store: store, config: ConfigReader(provider: InMemoryProvider(values: ["namespace": "shop", "version": 8])))
        #expect(try unquoted.cached("city") { 1 }.key().description == "shop:8:city()")
        #expect(try await city() == 1)
        await cache.drain()
        let freshFor = try #require(try await city.answer().freshFor)
        #expect(freshFor <= .seconds(1))
        #expect(throws: CacheError.self) { try Cache(store: store, config: environment([:])) }
        let disabled = try Cache(store: store, config: environment(["NAMESPACE": "x", "IS_DISABLED": "true"]))
        _ = try await disabled.value(forKey: "k") { 1 }
        #expect(store.count == 1)
    }
}
#endif
