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
        let queue = CallQueue(maximumBatch: configuration.maximumBatch)
        workers = try (0..<configuration.connectionsPerServer).map { _ in
            Worker(queue: queue, connection: try makeConnection(), watchdog: watchdog)
        }
        self.queue = queue
    }
}
