/// What a store tells the back-ends of the process: metrics, and spans where the trait `Tracing` is on.
public struct MemcachedInstrumentation: Sendable {
    /// The metrics; `nil` for none.
    public var metrics: MemcachedMetrics?
    #if Tracing
    /// The spans; `nil` for none.
    public var tracing: MemcachedTracing?
    #endif

    /// Makes instrumentation for the back-ends that the process has: none where it has none.
    public init() {
        metrics = MemcachedMetrics()
        #if Tracing
        tracing = MemcachedTracing()
        #endif
    }

    /// No instrumentation.
    public static var none: MemcachedInstrumentation {
        var none = MemcachedInstrumentation()
        none.metrics = nil
        #if Tracing
        none.tracing = nil
        #endif
        return none
    }
}
