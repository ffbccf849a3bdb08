public import MintCache
import Synchronization

/// Counts what happens in a cache. Hand one to ``Cache`` as its observer, or one to several.
public final class CacheStatistics: CacheObserver {
    /// The counts, each since the statistics were made. They need not be those of one moment: hits are counted apart
    /// from the rest, so that many threads can count them at little cost, and go on while the rest is read.
    public struct Snapshot: Sendable, Equatable {
        /// Calls that were served a fresh value.
        public var hits = 0
        /// Calls that were served a stale value.
        public var stale = 0
        /// Of these, calls in the pause after a load that failed.
        public var pausedRefreshes = 0
        /// Calls that were served a value that the process holds, since the store was away.
        public var held = 0
        /// Calls that were served by a load, their own or a shared one.
        public var misses = 0
        /// The misses by their reasons.
        public var reasons: [CacheEvent.Reason: Int] = [:]
        /// Loaders that were started.
        public var loads = 0
        /// Loaders that threw.
        public var failedLoads = 0
        /// Calls that failed because as many loads ran as may.
        public var refusedLoads = 0
        /// Calls that did not wait longer for a load that took its time.
        public var timedOutCalls = 0
        /// Calls that were given the error of an earlier load.
        public var sharedFailures = 0
        /// Loads that took longer than their first lease.
        public var overruns = 0
        /// Loaded values that were stored.
        public var fills = 0
        /// Loaded values that were not stored, because their key was invalidated or taken over meanwhile.
        public var droppedFills = 0
        /// Loaded values that could not be encoded or were too large.
        public var notCached = 0
        /// Failures of the store that the cache went on without.
        public var storeTroubles = 0
        /// Stamps that groups were given because they had none, as new groups have and those whose stamp was lost.
        public var plantedStamps = 0
        /// Of these, stamps of groups that had values, which the store has lost.
        public var lostStamps = 0
        /// Keys and groups that were invalidated.
        public var invalidations = 0
        /// Keys and groups that were expired.
        public var expiries = 0
        /// Attempts to invalidate that failed.
        public var failedInvalidations = 0
        /// Invalidations that failed for so long that they were given up.
        public var lostInvalidations = 0
        /// Values that were served and are not what their loader says: see `CachePolicy.audit`.
        public var mismatches = 0
        /// Of these, values that were served stale.
        public var staleMismatches = 0
    }

    private static let counted: [(kind: CacheEvent.Kind, count: any WritableKeyPath<Snapshot, Int> & Sendable)] = [
        (.stale, \.stale), (.load, \.loads), (.loadFailed, \.failedLoads), (.failureShared, \.sharedFailures),
        (.loadOverran, \.overruns), (.fill, \.fills), (.fillDropped, \.droppedFills), (.notCached, \.notCached),
        (.storeTrouble, \.storeTroubles), (.stampPlanted, \.plantedStamps), (.stampLost, \.lostStamps),
        (.invalidation, \.invalidations), (.expiry, \.expiries),
        (.invalidationFailed, \.failedInvalidations), (.invalidationLost, \.lostInvalidations), (.miss, \.misses),
        (.held, \.held), (.loadRefused, \.refusedLoads), (.loadTimedOut, \.timedOutCalls),
        (.mismatch, \.mismatches),
    ]
    private static let counts = Dictionary(uniqueKeysWithValues: counted.map { ($0.kind, $0.count) })

    private let hits = Atomic(0)
    private let others = Mutex(Snapshot())

    /// Makes statistics that begin at zero.
    public init() {}

    /// The counts now.
    public var snapshot: Snapshot {
        var snapshot = others.withLock(\.self)
        snapshot.hits = hits.load(ordering: .relaxed)
        return snapshot
    }

    /// Counts an event.
    public func record(_ event: CacheEvent) {
        if event.kind == .hit {
            hits.add(1, ordering: .relaxed)
            return
        }
        guard let count = Self.counts[event.kind] else { return }
        others.withLock { snapshot in
            snapshot[keyPath: count] += 1
            if event.kind == .miss, let reason = event.reason { snapshot.reasons[reason, default: 0] += 1 }
            if event.kind == .mismatch, event.reason == .expired { snapshot.staleMismatches += 1 }
            if event.kind == .stale, event.reason == .recentFailure { snapshot.pausedRefreshes += 1 }
        }
    }
}
