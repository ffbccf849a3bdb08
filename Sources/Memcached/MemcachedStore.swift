public import MintCache
import Synchronization

/// A store on one memcached server or a fleet of them, through libmemcached.
///
/// ```swift
/// let store = try MemcachedStore(servers: ["10.0.0.1:11211", "10.0.0.2:11211"])
/// ```
///
/// No task ever blocks: worker threads use the connections, and gets that queue up while a call is in flight leave
/// together as the next one. A worker goes on with the tasks that it has answered itself, as long as they are quick; a
/// task that keeps the thread holds up others for some milliseconds at most. Keys are spread over the servers by
/// libmemcached's ketama-weighted ring. Nothing connects before the first operation, so a store can be made before its
/// servers are up.
///
/// A task that is cancelled while it waits gets `CancellationError` at once. Whether its write takes place is then
/// open, as it is after a timeout.
public final class MemcachedStore: CacheStore {
    /// How a store uses its servers.
    public struct Configuration: Sendable, Hashable {
        /// Connections to each server, and as many threads for them: 1 to 64. As long as one thread keeps up with all
        /// gets, it alone asks for them, on two connections.
        public var connectionsPerServer: Int
        /// How long an operation may wait for the server: 1 ms to 1 hour. What waits meanwhile, in the queue or on
        /// another connection of the same thread, fails with it, so that no call waits for more than twice as long.
        public var operationTimeout: Duration
        /// How long connecting may take: 1 ms to 1 hour.
        public var connectTimeout: Duration
        /// The most gets that leave in one call: 1 to 1,000.
        public var maximumBatch: Int

        /// Makes a configuration.
        public init(
            connectionsPerServer: Int = 2, operationTimeout: Duration = .milliseconds(500),
            connectTimeout: Duration = .milliseconds(500), maximumBatch: Int = 256
        ) {
            self.connectionsPerServer = connectionsPerServer
            self.operationTimeout = operationTimeout
            self.connectTimeout = connectTimeout
            self.maximumBatch = maximumBatch
        }

        func validate() throws {
            try Self.check("connectionsPerServer", connectionsPerServer, in: 1...64)
            try Self.check("maximumBatch", maximumBatch, in: 1...1000)
            try Self.check("operationTimeout", operationTimeout, in: .milliseconds(1) ... .seconds(3600))
            try Self.check("connectTimeout", connectTimeout, in: .milliseconds(1) ... .seconds(3600))
        }

        private static func check<Value>(_ name: String, _ value: Value, in range: ClosedRange<Value>) throws {
            guard range.contains(value) else {
                throw CacheError(
                    .invalidConfiguration,
                    "\(name) is \(value): give \(range.lowerBound) to \(range.upperBound)")
            }
        }
    }

    private let ring: Ring
    private let pools: [ServerPool]
    private let clock = SystemClock()
    private let isShutDown = Atomic(false)
    private let ended = Promise<Void>()

    /// Makes a store on servers given as addresses: `"host:port"`, `"host"` for port 11211, `"[::1]:11211"`, or the
    /// path of a UNIX socket, each with `/?2` after it for a weight of 2.
    ///
    /// - Throws: ``CacheError`` with code `invalidServer` for an address that is malformed or listed twice or for an
    ///   empty list, `invalidConfiguration` for a parameter out of its range.
    public convenience init(servers: [String], configuration: Configuration = Configuration()) throws {
        try self.init(servers: servers.map { try MemcachedServer($0) }, configuration: configuration)
    }

    /// Makes a store on servers.
    ///
    /// - Throws: as ``init(servers:configuration:)-([String],_)``.
    @_disfavoredOverload
    public init(servers: [MemcachedServer], configuration: Configuration = Configuration()) throws {
        try configuration.validate()
        guard !servers.isEmpty else {
            throw CacheError(.invalidServer, "the list of memcached servers is empty: name at least one")
        }
        for (index, server) in servers.enumerated()
        where servers[..<index].contains(where: { $0.identity == server.identity }) {
            throw CacheError(.invalidServer, "the memcached server '\(server)' is listed twice: list it once")
        }
        ring = try Ring(servers)
        let watchdog = Watchdog()
        pools = try servers.map { try ServerPool($0, configuration, watchdog) }
        try start(watchdog)
    }

    /// Makes a store without a server, whose workers answer every get with the same value. It measures what the store
    /// costs by itself.
    @_spi(Benchmarks)
    public init(answering value: [UInt8], configuration: Configuration = Configuration()) throws {
        try configuration.validate()
        ring = try Ring([MemcachedServer("127.0.0.1")])
        let watchdog = Watchdog()
        pools = [ServerPool(configuration, watchdog) { NullConnection(value: value) }]
        try start(watchdog)
    }

    private func start(_ watchdog: Watchdog) throws {
        let workers = pools.flatMap(\.workers)
        for worker in workers { try worker.start() }
        try BlockingThread.start { [ended] in
            watchdog.run(workers)
            ended.resolve(.success(()))
        }
    }

    deinit { close() }

    /// Lets the threads end when they have done what is queued.
    private func close() {
        guard !isShutDown.exchange(true, ordering: .sequentiallyConsistent) else { return }
        for pool in pools { pool.queue.close() }
    }

    /// Finishes what is queued and ends the threads; one that a task keeps ends when the task waits. Using the store
    /// afterwards is an error with code `shutDown`; shutting it down again waits for the same end.
    public func shutdown() async {
        close()
        // In a task of its own, which the cancellation of this one does not reach.
        await Task { [ended] in try? await ended.value() }.value
    }

    /// How many calls wait for a connection to be free.
    package var waiting: Int { pools.reduce(0) { $0 + $1.queue.waiting } }

    private func call(_ request: Call.Request, on server: Int) -> Call {
        Call(request, in: .passUnretained(pools[server].queue))
    }

    // MARK: Reading

    // Inlined into its witness of the protocol: a frame less. So is `get(_:with:)`.

    /// Reads one item.
    @inline(__always)
    public func get(_ key: StoreKey) async throws -> StoreItem? {
        let answer = try await call(.get(key), on: ring.server(for: key)).wait()
        guard case .item(let item) = answer else { preconditionFailure("another answer than to a get") }
        return item
    }

    /// Reads several items: one round trip to each server that has any of them, all at the same time.
    public func get(_ keys: [StoreKey]) async throws -> [StoreItem?] {
        guard let first = keys.first else { return [] }
        let (item, others) = try await get(first, with: Array(keys.dropFirst()))
        return [item] + others
    }

    /// Reads an item and others that go with it, as ``get(_:)-([StoreKey])`` does.
    @inline(__always)
    public func get(
        _ key: StoreKey, with others: [StoreKey]
    ) async throws -> (item: StoreItem?, others: [StoreItem?]) {
        let server = ring.server(for: key)
        guard pools.count == 1 || others.allSatisfy({ ring.server(for: $0) == server }) else {
            let items = try await spread([key] + others)
            return (items[0], Array(items.dropFirst()))
        }
        return try await get(key, with: others, from: server)
    }

    @inline(__always)
    private func get(
        _ key: StoreKey, with others: [StoreKey], from server: Int
    ) async throws -> (item: StoreItem?, others: [StoreItem?]) {
        let answer = try await call(.getAll(key, others), on: server).wait()
        guard case .items(let item, let items) = answer else {
            preconditionFailure("another answer than to a get of several keys")
        }
        return (item, items)
    }

    /// Reads keys of several servers.
    private func spread(_ keys: [StoreKey]) async throws -> [StoreItem?] {
        let servers = keys.map(ring.server(for:))
        return try await withThrowingTaskGroup(of: (positions: [Int], items: [StoreItem?]).self) { group in
            for server in Set(servers) {
                let positions = keys.indices.filter { servers[$0] == server }
                group.addTask {
                    let others = positions.dropFirst().map { keys[$0] }
                    let (item, items) = try await self.get(keys[positions[0]], with: others, from: server)
                    return (positions, [item] + items)
                }
            }
            var all = [StoreItem?](repeating: nil, count: keys.count)
            for try await part in group {
                for (position, item) in zip(part.positions, part.items) { all[position] = item }
            }
            return all
        }
    }

    // MARK: Writing

    /// Stores a value whatever stood there.
    public func set(_ key: StoreKey, to value: [UInt8], expiry: Duration?) async throws {
        _ = try await write(.set(key, value, expiry: Expiry.seconds(for: expiry, now: clock.now)), key)
    }

    /// Stores a value if nothing stands there.
    public func add(_ key: StoreKey, _ value: [UInt8], expiry: Duration?) async throws -> Bool {
        try await write(.add(key, value, expiry: Expiry.seconds(for: expiry, now: clock.now)), key)
    }

    /// Stores a value if the item with this CAS id stands there.
    public func compareAndSwap(
        _ key: StoreKey, expecting cas: StoreItem.CAS, with value: [UInt8], expiry: Duration?
    ) async throws -> Bool {
        let expiry = try Expiry.seconds(for: expiry, now: clock.now)
        return try await write(.compareAndSwap(key, value, cas: cas, expiry: expiry), key)
    }

    /// Removes what stands there.
    public func delete(_ key: StoreKey) async throws -> Bool {
        try await write(.delete(key), key)
    }

    /// Removes everything from every server: for tests.
    public func flush() async throws {
        for server in pools.indices { _ = try await call(.write(.flush), on: server).wait() }
    }

    private func write(_ operation: WriteOperation, _ key: StoreKey) async throws -> Bool {
        let answer = try await call(.write(operation), on: ring.server(for: key)).wait()
        guard case .written(let tookPlace) = answer else { preconditionFailure("another answer than to a write") }
        return tookPlace
    }
}
