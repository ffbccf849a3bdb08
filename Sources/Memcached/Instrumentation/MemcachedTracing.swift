#if Tracing
public import Tracing

/// Which spans a store makes, and where: one for each operation, named like `get`, a child of the caller's. Attributes are those
/// of OpenTelemetry's conventions for database clients; never a key.
public struct MemcachedTracing: Sendable {
    /// What the attributes are called.
    public var names: Names
    /// Where spans go; `nil` for the tracer that the process has when the store is made.
    public var tracer: (any Tracer)?

    /// Makes a choice of spans.
    public init(names: Names = Names(), tracer: (any Tracer)? = nil) {
        self.names = names
        self.tracer = tracer
    }

    /// The names of attributes.
    public struct Names: Sendable, Hashable {
        /// The attribute that says `memcached`.
        public var system = "db.system.name"
        /// The attribute with the operation: `get`, `set`, `add`, `cas`, `delete`, `flush_all`.
        public var operation = "db.operation.name"
        /// The attribute with the host of the server, or the path of its socket.
        public var address = "server.address"
        /// The attribute with the port of the server, where it has one.
        public var port = "server.port"
        /// The attribute with the code of an error.
        public var error = "error.type"

        /// The names that this package gives them.
        public init() {}
    }
}
#endif
