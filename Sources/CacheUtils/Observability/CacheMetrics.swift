public import CoreMetrics
import MintCache

/// Which metrics a cache counts, and where.
///
/// They are counted by swift-metrics, in the back-end that the process has when the cache is made. Without one nothing is
/// counted, and nothing is paid. Each metric has the dimension `namespace`, and but for the gauges `function`, the name of a
/// cached function; never a key, an argument or a group.
public struct CacheMetrics: Sendable {
    /// What the metrics are called.
    public var names: Names
    /// What the dimension `namespace` says; `nil` for the namespace of the cache. Set it where namespaces are made from data,
    /// or there will be a time series for each.
    public var namespace: String?
    /// Where they are counted; `nil` for the back-end of the process.
    public var factory: (any MetricsFactory)?

    /// Makes a choice of metrics.
    public init(names: Names = Names(), namespace: String? = nil, factory: (any MetricsFactory)? = nil) {
        self.names = names
        self.namespace = namespace
        self.factory = factory
    }

    /// The names of metrics and dimensions.
    public struct Names: Sendable, Hashable {
        /// A counter of calls that were answered, with the dimension ``result``: `hit`, `stale`, `miss` for the call whose load
        /// it was, `shared` for those that shared it, `store_error` for a load because the store failed, and `held` for what
        /// the process held for that.
        public var requests = "cache.requests"
        /// A timer of loads: how long the loader took, whatever came of it. A load of many values counts once for each of them.
        public var loadDuration = "cache.load.duration"
        /// A counter of loads that failed.
        public var loadsFailed = "cache.loads.failed"
        /// A counter of loaded values that were not stored, with the dimension ``reason``: `overtaken` when the value was
        /// invalidated, taken over or lost meanwhile, or else the code of the error.
        public var fillsDropped = "cache.fills.dropped"
        /// A counter of attempts to invalidate, with the dimension ``state``: `sent`, `failed` for those that are going to be
        /// repeated or were thrown, `lost` for those that were given up.
        public var invalidations = "cache.invalidations"
        /// A counter of values that were served and are not what their loader says (`CachePolicy.audit`), with the dimension
        /// ``reason``: `stale` for one that was served stale, as `staleFor` allows, or else `wrong`: as a rule somebody has
        /// forgotten an invalidation.
        public var mismatches = "cache.mismatches"
        /// A gauge of invalidations that have failed and are being repeated.
        public var pendingInvalidations = "cache.invalidations.pending"
        /// A gauge of what an ``MintCache/InMemoryStore`` holds, in items.
        public var entries = "cache.entries"

        /// The dimension with the namespace of the cache.
        public var namespace = "namespace"
        /// The dimension with the name of the cached function; `value` for values by key, and where groups are invalidated.
        public var function = "function"
        /// The dimension that says what came of a call.
        public var result = "result"
        /// The dimension that says why a value was not stored, or how it differs.
        public var reason = "reason"
        /// The dimension that says what came of an invalidation.
        public var state = "state"

        /// The names that this package gives them.
        public init() {}
    }

    /// - Returns: `nil` where nobody counts.
    func observer(of namespace: String, next: (any CacheObserver)?) -> MetricsObserver? {
        let factory = factory ?? MetricsSystem.factory
        if factory is NOOPMetricsHandler { return nil }
        return MetricsObserver(names, namespace: self.namespace ?? namespace, factory, next: next)
    }
}
