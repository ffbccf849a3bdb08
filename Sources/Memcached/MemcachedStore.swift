public import MintCache
import Synchronization

/// A store on one memcached server or a fleet of them, through libmemcached.
///
/// ```swift
/// let store = try MemcachedStore(servers: ["10.0.0.1:11211", "10.0.0.2:11211"])
/// ```
///
/// No task ever blocks: one thread converses with each server, and what queues up while an exchange is under way leaves
/// together as the next one, small writes with what is read; another thread does the writes that must be acknowledged.
/// The thread goes on with the tasks that waited for it itself, as long as they are quick; a task that keeps it holds
/// up others for some milliseconds at most. Keys are spread over the servers by libmemcached's ketama-weighted ring.
/// Nothing connects before the first operation, so a store can be made before its servers are up.
///
/// A task that is cancelled while it waits gets `CancellationError` at once. Whether its write takes place is then
/// open, as it is after a timeout.
public final class MemcachedStore: CacheStore {
    let fleet: CurrentFleet
    let configuration: Configuration
    let timekeeper: Timekeeper
    let makeClient: @Sendable (MemcachedServer) -> ServerClient
    private let isShutDown = Atomic(false)
    private let ended = Promise<Void>()

    /// Makes a store on servers given as addresses: `"host:port"`, `"host"` for port 11211, `"[::1]:11211"`, or the
    /// path of a UNIX socket, each with `/?2` after it for a weight of 2.
    ///
    /// - Throws: ``CacheError`` with code `invalidServer` for an address that is malformed or listed twice or for an
    ///   empty list, `invalidConfiguration` for a parameter out of its range.
    public convenience init(
        servers: [String], configuration: Configuration = Configuration(),
        instrumentation: MemcachedInstrumentation = MemcachedInstrumentation()
    ) throws {
        try self.init(
            servers: servers.map { try MemcachedServer($0) }, configuration: configuration,
            instrumentation: instrumentation)
    }

    /// Makes a store on servers.
    ///
    /// - Throws: as ``init(servers:configuration:instrumentation:)-([String],_,_)``.
    @_disfavoredOverload
    public convenience init(
        servers: [MemcachedServer], configuration: Configuration = Configuration(),
        instrumentation: MemcachedInstrumentation = MemcachedInstrumentation()
    ) throws {
        try self.init(
            servers: servers, configuration: configuration, instrumentation, resolve: ServerAddress.lookUp)
    }

    /// Makes a store on a fleet whose list of servers changes: see ``ServerList``.
    ///
    /// - Parameters:
    ///   - current: where values are read and written.
    ///   - previous: the list before, until no process uses it any more.
    ///   - next: the list that is to come.
    /// - Throws: as ``init(servers:configuration:instrumentation:)-([String],_,_)``; `invalidServer` also for numbers that do not follow
    ///   each other, and for a previous and a next list at once.
    public convenience init(
        current: ServerList, previous: ServerList? = nil, next: ServerList? = nil,
        configuration: Configuration = Configuration(),
        instrumentation: MemcachedInstrumentation = MemcachedInstrumentation()
    ) throws {
        try self.init(
            ServerLists(current: current, previous: previous, next: next), configuration, instrumentation,
            resolve: ServerAddress.lookUp)
    }

    /// - Parameter resolve: looks names up; injected by tests.
    convenience init(
        servers: [MemcachedServer], configuration: Configuration,
        _ instrumentation: MemcachedInstrumentation = .none, resolve: @escaping ServerAddress.Resolver
    ) throws {
        try self.init(
            ServerLists(current: ServerList(servers, number: 0)), configuration, instrumentation, resolve: resolve)
    }

    private init(
        _ lists: ServerLists, _ configuration: Configuration, _ instrumentation: MemcachedInstrumentation,
        resolve: @escaping ServerAddress.Resolver
    ) throws {
        try configuration.validate()
        self.configuration = configuration
        let timekeeper = Timekeeper()
        self.timekeeper = timekeeper
        makeClient = { ServerClient($0, configuration, instrumentation, timekeeper, resolve: resolve) }
        fleet = CurrentFleet(Fleet(lists, lists.servers.map(makeClient)))
        try start()
        sampleGauges()
    }

    /// Sets the gauges of the servers every few seconds, for as long as the store is there.
    private func sampleGauges() {
        guard fleet.read({ $0.clients.contains { $0.instruments != nil } }) else { return }
        Task.detached(priority: .background) { [weak self] in
            repeat {
                guard let clients = self?.fleet.read(\.clients) else { return }
                for client in clients { client.sample() }
            } while (try? await ContinuousClock().sleep(for: .seconds(10))) != nil
        }
    }

    /// Makes a store without a server, whose workers answer every get with the same value. It measures what the store
    /// costs by itself.
    @_spi(Benchmarks)
    public init(answering value: [UInt8], configuration: Configuration = Configuration()) throws {
        try configuration.validate()
        self.configuration = configuration
        let timekeeper = Timekeeper()
        self.timekeeper = timekeeper
        makeClient = { server in
            let state = ServerState(server, failuresToOpen: configuration.failuresToOpen)
            return ServerClient(state, configuration, timekeeper) { _ in NullConnection(value: value) }
        }
        let lists = try ServerLists(current: ServerList(["127.0.0.1"], number: 0))
        fleet = CurrentFleet(Fleet(lists, lists.servers.map(makeClient)))
        try start()
    }

    private func start() throws {
        try start(fleet.read(\.clients))
        try BlockingThread.start { [ended, timekeeper, timeout = configuration.operationTimeout.nanoseconds] in
            timekeeper.run(operationTimeout: timeout)
            ended.resolve(.success(()))
        }
    }

    /// Starts the threads of servers.
    func start(_ clients: [ServerClient]) throws {
        let workers = clients.flatMap(\.workers)
        for worker in workers { try worker.start() }
        timekeeper.add(workers)
    }

    deinit { close() }

    var isClosed: Bool { isShutDown.load(ordering: .sequentiallyConsistent) }

    /// Lets the threads end when they have done what is queued.
    private func close() {
        guard !isShutDown.exchange(true, ordering: .sequentiallyConsistent) else { return }
        for client in fleet.openClients { client.close() }
    }

    /// Finishes what is queued and ends the threads; one that a task keeps ends when the task waits. Using the store
    /// afterwards is an error with code `shutDown`; shutting it down again waits for the same end.
    public func shutdown() async {
        close()
        // In a task of its own, which the cancellation of this one does not reach.
        await Task { [ended] in try? await ended.value() }.value
    }

    /// How many calls wait to be sent, to all servers.
    public var waiting: Int { fleet.read(\.clients).reduce(0) { $0 + $1.waiting } }

    /// How a server is at this moment.
    public struct ServerStatus: Sendable {
        /// Which server.
        public let server: MemcachedServer
        /// Whether it is asked. It is not after it did not answer, until it answers again.
        public let isAvailable: Bool
        /// How many calls wait to be sent to it.
        public let waiting: Int
    }

    /// How the servers are, those of the current list first, in its order.
    public var status: [ServerStatus] {
        fleet.read { zip($0.lists.servers, $0.clients) }.map { server, client in
            ServerStatus(server: server, isAvailable: !client.state.isOpen, waiting: client.waiting)
        }
    }
}
