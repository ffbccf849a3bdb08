import MintCache
import Synchronization

/// One server: the queues of what waits for it, and the threads that converse and write.
final class ServerClient: Sendable {
    private static let made = Atomic(0)

    /// Which one it is of all.
    let id = made.add(1, ordering: .relaxed).newValue
    let state: ServerState
    let configuration: MemcachedStore.Configuration
    /// `nil` where nobody counts or traces.
    let instruments: ClientInstruments?
    /// Of each conversation.
    private let conversations: [CallQueue]
    /// Of what must be acknowledged one by one.
    let writes: CallQueue
    let workers: [any Worker]

    convenience init(
        _ server: MemcachedServer, _ configuration: MemcachedStore.Configuration,
        _ instrumentation: MemcachedInstrumentation, _ timekeeper: Timekeeper,
        resolve: @escaping ServerAddress.Resolver
    ) {
        let state = ServerState(server, failuresToOpen: configuration.failuresToOpen, resolve: resolve)
        self.init(state, configuration, timekeeper, ClientInstruments(instrumentation, server)) { isAcknowledged in
            Connection(state, Connection.Settings(configuration, isAcknowledged: isAcknowledged))
        }
    }

    /// Makes a client on connections of any kind.
    init(
        _ state: ServerState, _ configuration: MemcachedStore.Configuration, _ timekeeper: Timekeeper,
        _ instruments: ClientInstruments? = nil,
        _ makeConnection: @escaping @Sendable (_ isAcknowledged: Bool) -> any ServerConnection
    ) {
        self.state = state
        self.configuration = configuration
        self.instruments = instruments
        let limits = Conversation.Limits(
            calls: configuration.maximumBatch, lineLength: min(8000, configuration.maximumLine))
        let stuck = StuckThreads()
        let makeQueue = { (resumesTasks: Bool) in
            CallQueue(limit: configuration.maximumWaiting, resumesTasks: resumesTasks)
        }
        conversations = (0..<configuration.conversationsPerServer).map { _ in makeQueue(configuration.resumesTasks) }
        writes = makeQueue(configuration.resumesTasks)
        let writer = Writer(writes, state, timekeeper, stuck) { makeConnection(true) }
        workers =
            conversations.map {
                Conversation($0, state, limits, timekeeper, stuck, instruments) { makeConnection(false) }
            }
            + [writer]
        // It probes the server.
        state.whenOpened { [prober = conversations[0]] in prober.attract() }
    }

    /// The conversation that a key is read and written in.
    @inline(__always)
    func conversation(for key: StoreKey) -> CallQueue {
        conversations.count == 1 ? conversations[0] : conversations[abs(key.hashValue % conversations.count)]
    }

    /// How many calls wait.
    var waiting: Int { conversations.reduce(writes.waiting) { $0 + $1.waiting } }

    /// Sets the gauges.
    func sample() { instruments?.sample(waiting: waiting, isAvailable: !state.isOpen) }

    /// The server as a part of the store.
    var part: StorePart { StorePart(id: id, store: self) }

    /// Lets the threads end when they have done what is queued.
    func close() {
        for queue in conversations { queue.close() }
        writes.close()
    }
}
