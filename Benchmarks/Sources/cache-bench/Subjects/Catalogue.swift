import CacheUtils
@_spi(Benchmarks) import Memcached

/// Seven fields, about as large in JSON as the strings that are cached beside it.
struct Row: Codable, Sendable {
    var id = 4_711
    var name = "Paris"
    var zone = "Europe/Paris"
    var population = 2_102_650
    var latitude = 48.8566
    var isCapital = true
    var languages = ["fr"]
}

/// The scenarios of a run, on one server that they share.
struct Catalogue: Sendable {
    /// Keys that every client reads, and the sizes of their values in bytes.
    static let keyCount = 10_000
    static let valueSizes = [100, 1_000, 10_000, 100_000]
    /// How many values a call for many is for.
    static let batchSize = 100

    private let address: ServerAddress
    private let store: MemcachedStore
    private let socketStore: MemcachedStore
    private let fleet: MemcachedStore
    private let floor: MemcachedStore
    /// Its tasks are resumed by Swift's executor.
    private let elsewhere: MemcachedStore
    private let connections: Int

    init(server: String, socket: String, fleet: [String], connections: Int) throws {
        address = ServerAddress(text: server)
        self.connections = connections
        let configuration = MemcachedStore.Configuration()
        store = try MemcachedStore(servers: [server], configuration: configuration)
        self.fleet = try MemcachedStore(servers: fleet, configuration: configuration)
        socketStore = try MemcachedStore(servers: [socket], configuration: configuration)
        var resumedElsewhere = configuration
        resumedElsewhere.resumesTasks = false
        elsewhere = try MemcachedStore(servers: [server], configuration: resumedElsewhere)
        floor = try MemcachedStore(
            answering: [UInt8](repeating: 0x78, count: Self.valueSizes[0]), configuration: configuration)
    }

    func close() async {
        for store in [store, socketStore, fleet, elsewhere, floor] { await store.shutdown() }
    }

    /// Stores what is read, and returns the scenarios that read it.
    func prepare() async throws -> [Scenario] {
        let inOrder = (0..<Self.keyCount).map { "bench:value:\(1_000_000 + $0)" }
        for store in [store, socketStore] {
            try await fill(store, inOrder.map { try StoreKey($0) }, size: Self.valueSizes[0])
        }
        let names = inOrder.indices.map { inOrder[Self.scattered($0)] }
        let keys = try names.map { try StoreKey($0) }
        return clients(names) + gets(keys) + (try await sizes()) + (try await cachedFunctions())
    }

    /// What is read after another, by every client. It was not stored side by side, or a multi-get would run through
    /// the server's memory from one end to the other, which no application does.
    private static func scattered(_ place: Int) -> Int { place * 7919 % keyCount }

    private func fill(_ store: MemcachedStore, _ keys: [StoreKey], size: Int) async throws {
        let value = [UInt8](repeating: 0x78, count: size)
        for key in keys { try await store.set(key, value: value, expiry: nil) }
    }

    private func clients(_ names: [String]) -> [Scenario] {
        let sync = [1, 2, 8].map { threads in
            scenario(
                BlockingClient(name: "libmemcached-sync", callers: threads, server: address, batch: 1, keys: names))
        }
        let mget = Set([1, connections]).sorted().map { threads in
            scenario(
                BlockingClient(
                    name: "libmemcached-mget", callers: threads, server: address, batch: Self.batchSize, keys: names))
        }
        return sync + mget
    }

    private func gets(_ keys: [StoreKey]) -> [Scenario] {
        [1, 8, 64, 256, 1024].map { tasks in scenario(reader("store", of: store, keys, tasks: tasks)) }
            + [1, 256].map { tasks in scenario(reader("store-unix", of: socketStore, keys, tasks: tasks)) }
            + [64, 256].map { tasks in scenario(reader("store-elsewhere", of: elsewhere, keys, tasks: tasks)) }
            + [64, 256, 1024].map { tasks in scenario(reader("async-floor", of: floor, keys, tasks: tasks)) }
    }

    private func sizes() async throws -> [Scenario] {
        var scenarios: [Scenario] = []
        for size in Self.valueSizes.dropFirst() {
            // As many as make 50 MB, so that few gets of one batch ask for the same key.
            let keys = try (0..<min(Self.keyCount, 50_000_000 / size)).map { try StoreKey("bench:\(size):\($0)") }
            try await fill(store, keys, size: size)
            scenarios.append(scenario(reader("store-\(size / 1000)KB", of: store, keys, tasks: 256)))
        }
        return scenarios
    }

    private func cachedFunctions() async throws -> [Scenario] {
        let cache = Cache(store: store, namespace: "bench")
        let memory = Cache(store: InMemoryStore(), namespace: "bench")
        let text = String(repeating: "x", count: Self.valueSizes[0])
        func strings(in cache: Cache, _ groups: [String]) -> CachedFunction<Int, String> {
            cache.cached("string\(groups.count)", ttl: .seconds(86_400), groups: groups) { (_: Int) in text }
        }
        let row = cache.cached("row", ttl: .seconds(86_400)) { (_: Int) in Row() }
        var scenarios: [Scenario] = []
        for tasks in [8, 64, 256, 1024] {
            scenarios.append(try await hits("cached", strings(in: cache, []), tasks: tasks))
        }
        let all = Cache(store: store, namespace: "all", canInvalidateAll: true)
        scenarios.append(try await hits("cached-all", strings(in: all, []), tasks: 256))
        let fleet = Cache(store: fleet, namespace: "fleet")
        for (name, groups) in [("", []), ("-1-group", ["a"]), ("-3-groups", ["a", "b", "c"])] {
            scenarios.append(try await hits("fleet-cached\(name)", strings(in: fleet, groups), tasks: 256))
        }
        return scenarios + [
            try await hits("cached-1-group", strings(in: cache, ["a"]), tasks: 256),
            try await hits("cached-3-groups", strings(in: cache, ["a", "b", "c"]), tasks: 256),
            try await hits("cached-struct", row, tasks: 256),
            manyHits("cached-many", strings(in: cache, []), tasks: 1),
            manyHits("cached-many", strings(in: cache, []), tasks: 4),
            manyHits("cached-many-struct", row, tasks: 4),
            try await hits("in-memory", strings(in: memory, []), tasks: 1),
            try await hits("cached-counted", strings(in: counted(store), []), tasks: 256),
            try await hits("in-memory-counted", strings(in: counted(InMemoryStore()), []), tasks: 1),
            scenario(FillSubject(callers: 64, store: store, text: text)),
            scenario(FillSubject(callers: 256, store: store, text: text)),
            scenario(BlockingMisses(server: address)),
            scenario(StalledSubject(alone: "loader")),
            scenario(try StalledSubject(stalled: "stalled")),
        ]
    }

    /// A cache with a back-end for its metrics.
    private func counted(_ store: any CacheStore) -> Cache {
        var instrumentation = CacheInstrumentation.none
        instrumentation.metrics = CacheMetrics(factory: CountingMetrics())
        return Cache(store: store, namespace: "bench", instrumentation: instrumentation)
    }

    private func hits<Value>(_ name: String, _ function: CachedFunction<Int, Value>, tasks: Int) async throws
        -> Scenario
    {
        try await warmUp(function, Self.keyCount)
        return scenario(
            TaskSubject(name: name, callers: tasks) { caller, meter in
                while let round = meter.next() {
                    _ = try await function(Self.scattered((caller &* 997 &+ round) % Self.keyCount))
                }
            })
    }

    /// Hits of ``batchSize`` values in one call.
    private func manyHits<Value>(_ name: String, _ function: CachedFunction<Int, Value>, tasks: Int) -> Scenario {
        let lists = stride(from: 0, to: Self.keyCount, by: Self.batchSize).map { first in
            (first..<first + Self.batchSize).map(Self.scattered)
        }
        return scenario(
            TaskSubject(name: name, callers: tasks, operationsEach: Self.batchSize) { caller, meter in
                while let round = meter.next() {
                    let values = try await function.many(lists[(caller &* 997 &+ round) % lists.count])
                    guard values.count == Self.batchSize else { throw BenchFailure("\(values.count) values came") }
                }
            })
    }

    private func reader(_ name: String, of store: MemcachedStore, _ keys: [StoreKey], tasks: Int) -> TaskSubject {
        TaskSubject(name: name, callers: tasks) { caller, meter in
            while let round = meter.next() {
                guard try await store.get(keys[(caller &* 997 &+ round) % keys.count]) != nil else {
                    throw BenchFailure("a value was gone: is the server too small, or shared?")
                }
            }
        }
    }

    private func scenario(_ subject: some Subject) -> Scenario {
        Scenario(name: "\(subject.name)@\(subject.callers)", subject: subject)
    }
}
