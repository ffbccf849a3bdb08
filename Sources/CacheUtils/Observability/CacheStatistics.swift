public import MintCache
import Synchronization

/// Counts what happens in a cache. Hand one to ``Cache`` as its observer, or one to several.
public final class CacheStatistics: CacheObserver {
    /// The counts at one moment, each since the statistics were made.
    public struct Snapshot: Sendable, Equatable {
        /// Calls that were served a fresh value.
        public var hits = 0
        /// Calls that were served a stale value.
        public var stale = 0
        /// Calls that were served by a load, their own or a shared one.
        public var misses = 0
        /// Loaders that were started.
        public var loads = 0
        /// Loaders that threw.
        public var failedLoads = 0
        /// Loaded values that were stored.
        public var fills = 0
        /// Loaded values that were not stored, because their key was invalidated or taken over meanwhile.
        public var droppedFills = 0
        /// Loaded values that could not be encoded or were too large.
        public var notCached = 0
        /// Failures of the store that the cache went on without.
        public var storeTroubles = 0
        /// Keys and groups that were invalidated.
        public var invalidations = 0
    }

    private let hits = Atomic(0)
    private let stale = Atomic(0)
    private let misses = Atomic(0)
    private let loads = Atomic(0)
    private let failedLoads = Atomic(0)
    private let fills = Atomic(0)
    private let droppedFills = Atomic(0)
    private let notCached = Atomic(0)
    private let storeTroubles = Atomic(0)
    private let invalidations = Atomic(0)

    /// Makes statistics that begin at zero.
    public init() {}

    /// The counts now.
    public var snapshot: Snapshot {
        Snapshot(
            hits: hits.load(ordering: .relaxed), stale: stale.load(ordering: .relaxed),
            misses: misses.load(ordering: .relaxed), loads: loads.load(ordering: .relaxed),
            failedLoads: failedLoads.load(ordering: .relaxed), fills: fills.load(ordering: .relaxed),
            droppedFills: droppedFills.load(ordering: .relaxed), notCached: notCached.load(ordering: .relaxed),
            storeTroubles: storeTroubles.load(ordering: .relaxed), invalidations: invalidations.load(ordering: .relaxed)
        )
    }

    /// Counts an event.
    public func record(_ event: CacheEvent) {
        switch event.kind {
        case .hit: hits.add(1, ordering: .relaxed)
        case .stale: stale.add(1, ordering: .relaxed)
        case .miss: misses.add(1, ordering: .relaxed)
        case .load: loads.add(1, ordering: .relaxed)
        case .loadFailed: failedLoads.add(1, ordering: .relaxed)
        case .fill: fills.add(1, ordering: .relaxed)
        case .fillDropped: droppedFills.add(1, ordering: .relaxed)
        case .notCached: notCached.add(1, ordering: .relaxed)
        case .storeTrouble: storeTroubles.add(1, ordering: .relaxed)
        case .invalidation: invalidations.add(1, ordering: .relaxed)
        default: break
        }
    }
}
