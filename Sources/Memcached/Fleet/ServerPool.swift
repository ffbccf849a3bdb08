import MintCache

/// The queue and the worker threads of one server.
struct ServerPool: Sendable {
    let queue: CallQueue
    private let threads: [WorkerThread]

    init(_ server: MemcachedServer, _ configuration: MemcachedStore.Configuration) throws {
        let breaks = ConnectionBreaks()
        try self.init(configuration) {
            try Connection(
                server, operationTimeout: configuration.operationTimeout,
                connectTimeout: configuration.connectTimeout, breaks: breaks)
        }
    }

    /// Makes a pool of connections of any kind.
    init(
        _ configuration: MemcachedStore.Configuration, _ makeConnection: () throws -> any ServerConnection
    ) throws {
        let queue = CallQueue(maximumBatch: configuration.maximumBatch)
        var threads: [WorkerThread] = []
        do {
            for _ in 0..<configuration.connectionsPerServer {
                // Made here, so that its errors are this initialiser's; handed over, so that one thread has it.
                nonisolated(unsafe) let connection = try makeConnection()
                threads.append(
                    try WorkerThread {
                        var worker = Worker(
                            queue: queue, connection: connection, maximumBatch: configuration.maximumBatch)
                        worker.run()
                    })
            }
        } catch {
            queue.close()
            for thread in threads { thread.detach() }
            throw error
        }
        self.queue = queue
        self.threads = threads
    }

    /// Blocks until the threads have done what is queued and have ended.
    func join() {
        for thread in threads { thread.join() }
    }

    /// Lets the threads end by themselves when they have done what is queued.
    func abandon() {
        queue.close()
        for thread in threads { thread.detach() }
    }

    /// The pools of all servers, or none.
    static func makePools(
        _ servers: [MemcachedServer], _ configuration: MemcachedStore.Configuration
    ) throws -> [ServerPool] {
        var pools: [ServerPool] = []
        do {
            for server in servers { pools.append(try ServerPool(server, configuration)) }
        } catch {
            for pool in pools { pool.abandon() }
            throw error
        }
        return pools
    }
}
