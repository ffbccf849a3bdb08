#if Tracing
import MintCache
public import Tracing

/// Which spans a cache makes, and where.
///
/// A load is a span, a child of the call's that began it; one in the background belongs to no call that waits. A call makes
/// none: a hit is its store's span, and none in memory.
public struct CacheTracing: Sendable {
    /// What spans and their attributes are called.
    public var names: Names
    /// Where they go; `nil` for the tracer that the process has when the cache is made.
    public var tracer: (any Tracer)?

    /// Makes a choice of spans.
    public init(names: Names = Names(), tracer: (any Tracer)? = nil) {
        self.names = names
        self.tracer = tracer
    }

    /// The names of spans and attributes.
    public struct Names: Sendable, Hashable {
        /// The span of a load.
        public var load = "cache.load"
        /// The namespace of the cache.
        public var namespace = "cache.namespace"
        /// The name of the cached function.
        public var function = "cache.function"
        /// How many values are loaded, where that is more than one.
        public var batchSize = "cache.load.batch.size"

        /// The names that this package gives them.
        public init() {}
    }

    /// - Returns: `nil` where nobody traces.
    func loads(of namespace: String) -> (any LoadTracing)? {
        let tracer = tracer ?? InstrumentationSystem.tracer
        return tracer is NoOpTracer ? nil : LoadSpans(names: names, tracer: tracer, namespace: namespace)
    }
}

/// The spans of loads.
private struct LoadSpans: LoadTracing {
    let names: CacheTracing.Names
    let tracer: any Tracer
    let namespace: String

    func trace<Loaded: Sendable>(
        _ function: String, count: Int, _ load: @Sendable () async throws -> Loaded
    ) async throws -> Loaded {
        try await tracer.withAnySpan(names.load, ofKind: .internal) { span in
            span.updateAttributes { attributes in
                attributes[names.namespace] = namespace
                if !function.isEmpty { attributes[names.function] = function }
                if count > 1 { attributes[names.batchSize] = count }
            }
            return try await load()
        }
    }
}
#endif
