public import CoreMetrics

/// Which metrics a store counts, and where.
///
/// They are counted by swift-metrics, in the back-end that the process has when the store is made. Without one nothing is
/// counted, and nothing is paid. Names and dimensions are those of OpenTelemetry's conventions for database clients, where they
/// have any; never a key.
public struct MemcachedMetrics: Sendable {
    /// What the metrics are called.
    public var names: Names
    /// Where they are counted; `nil` for the back-end of the process.
    public var factory: (any MetricsFactory)?

    /// Makes a choice of metrics.
    public init(names: Names = Names(), factory: (any MetricsFactory)? = nil) {
        self.names = names
        self.factory = factory
    }

    /// The names of metrics and dimensions.
    public struct Names: Sendable, Hashable {
        /// A timer of operations, from the call to its answer, waiting included. A get of several keys is one, and so is what
        /// is read and written in one exchange.
        public var operationDuration = "db.client.operation.duration"
        /// A recorder of how many calls leave together, for each exchange with a server.
        public var batchSize = "memcached.client.batch.size"
        /// A gauge of calls that wait to be sent to a server.
        public var waiting = "memcached.client.waiting"
        /// A gauge of whether a server is asked: 1, or 0 after it did not answer, until it answers again.
        public var available = "memcached.client.available"

        /// The dimension that says `memcached`.
        public var system = "db.system.name"
        /// The dimension with the operation: `get`, `set`, `add`, `cas`, `delete`, `flush_all`.
        public var operation = "db.operation.name"
        /// The dimension with the host of the server, or the path of its socket.
        public var address = "server.address"
        /// The dimension with the port of the server, where it has one.
        public var port = "server.port"
        /// The dimension with the code of an error; operations that succeed do not have it.
        public var error = "error.type"

        /// The names that this package gives them.
        public init() {}
    }
}
