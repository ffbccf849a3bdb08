import MintCache

/// The queue of one server and the workers that take from it.
struct ServerPool: Sendable {
    let queue: CallQueue
    let workers: [Worker]

    init(
        _ server: MemcachedServer, _ configuration: MemcachedStore.Configuration, _ watchdog: Watchdog
    ) throws {
        let breaks = ConnectionBreaks()
        try self.init(configuration, watchdog) {
            try Connection(
                server, operationTimeout: configuration.operationTimeout,
                connectTimeout: configuration.connectTimeout, maximumKeys: configuration.maximumBatch,
                breaks: breaks)
        }
    }

    /// Makes a pool of connections of any kind.
    init(
        _ configuration: MemcachedStore.Configuration, _ watchdog: Watchdog,
        _ makeConnection: () throws -> any ServerConnection
    ) rethrows {
        let connections = configuration.connectionsPerServer
        let queue = try CallQueue(
            maximumBatch: configuration.maximumBatch, lanes: (0..<connections).map { _ in Lane(try makeConnection()) })
        workers = (0..<connections).map { _ in Worker(queue: queue, watchdog: watchdog) }
        self.queue = queue
    }
}
