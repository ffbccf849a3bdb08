import MintCache

/// What a cache tells the back-ends of the process besides its log: metrics, and spans where the trait `Tracing` is on.
public struct CacheInstrumentation: Sendable {
    /// The metrics; `nil` for none.
    public var metrics: CacheMetrics?
    #if Tracing
    /// The spans; `nil` for none.
    public var tracing: CacheTracing?
    #endif

    /// Makes instrumentation for the back-ends that the process has: none where it has none.
    public init() {
        metrics = CacheMetrics()
        #if Tracing
        tracing = CacheTracing()
        #endif
    }

    /// - Returns: `nil` where nobody traces.
    func loads(of namespace: String) -> (any LoadTracing)? {
        #if Tracing
        tracing?.loads(of: namespace)
        #else
        nil
        #endif
    }

    /// No instrumentation.
    public static var none: CacheInstrumentation {
        var none = CacheInstrumentation()
        none.metrics = nil
        #if Tracing
        none.tracing = nil
        #endif
        return none
    }
}
