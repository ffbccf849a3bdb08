import Synchronization

/// Decoded values that this process has been served or has loaded, for when the store is away: those of functions whose
/// policy says so.
///
/// They are bounded in number and in the bytes of their payloads; those that were vouched for last stay.
final class HeldValues: Sendable {
    /// How many are held, and how many bytes of payloads.
    static let most = 16_384
    static let mostBytes = 64 * 1024 * 1024

    private static let shardCount = 16
    /// So many invalidations are remembered one by one.
    private static let mostInvalidations = 10_000

    private struct Held {
        let value: any Sendable
        let size: Int
        /// Where in the order of all that happens here the read began that vouches for it.
        var order: UInt64
        /// When that was, and until when it may be served at most.
        var vouchedAt: Duration
        var until: WallTime
    }

    private struct Shard {
        var values: [StoreKey: Held] = [:]
        var bytes = 0

        mutating func put(_ held: Held, under key: StoreKey) {
            bytes += held.size - (values.updateValue(held, forKey: key)?.size ?? 0)
            while values.count > most / shardCount || bytes > mostBytes / shardCount {
                // The older half, so that this is seldom.
                let oldest = values.sorted { $0.value.vouchedAt < $1.value.vouchedAt }.prefix(values.count / 2)
                for (key, held) in oldest {
                    bytes -= held.size
                    values[key] = nil
                }
            }
        }
    }

    private struct Invalidation {
        /// When it was, in the order of all that happens here.
        var order: UInt64
        /// Until when what is loaded is settling.
        var settlingUntil: Duration

        func concerns(_ held: Held) -> Bool { held.order < order || held.vouchedAt < settlingUntil }
    }

    private struct Invalidations {
        /// Of each key, the last one.
        var last: [StoreKey: Invalidation] = [:]
        /// Of those that are not remembered one by one, the last of all.
        var forgotten = Invalidation(order: 0, settlingUntil: .zero)

        mutating func forget(_ invalidation: Invalidation) {
            forgotten.order = max(forgotten.order, invalidation.order)
            forgotten.settlingUntil = max(forgotten.settlingUntil, invalidation.settlingUntil)
        }
    }

    private final class LockedShard: Sendable {
        let shard = Mutex(Shard())
    }

    private let shards = (0..<shardCount).map { _ in LockedShard() }
    private let invalidations = Mutex(Invalidations())
    private let lastOrder = Atomic<UInt64>(0)
    /// Whether anything was ever held. Until then invalidations are not remembered.
    private let isUsed = Atomic(false)

    /// Where in the order of all that happens here a read begins.
    var order: UInt64 { lastOrder.load(ordering: .acquiring) }

    /// Holds a value.
    ///
    /// - Parameters:
    ///   - size: of its payload in bytes. One that would take a shard for itself is not held.
    ///   - order: where the read or the load began that it is from.
    ///   - time: when a load began, or a read was answered.
    ///   - until: it is not served after that.
    func hold(
        _ value: some Sendable, under key: StoreKey, size: Int, order: UInt64, at time: Duration, until: WallTime
    ) {
        guard size <= Self.mostBytes / Self.shardCount / 4 else { return }
        if !isUsed.exchange(true, ordering: .sequentiallyConsistent) {
            // Whoever invalidates from now on sees that, or its number is seen here.
            let order = lastOrder.load(ordering: .sequentiallyConsistent)
            invalidations.withLock { $0.forget(Invalidation(order: order, settlingUntil: .zero)) }
        }
        let held = Held(value: value, size: size, order: order, vouchedAt: time, until: until)
        withShard(of: key) { shard in
            if let newer = shard.values[key], (newer.order, newer.vouchedAt) > (order, time) { return }
            shard.put(held, under: key)
        }
    }

    /// A value that was vouched for a short while ago, and neither it nor one of its groups invalidated here since.
    func value<Value: Sendable>(
        of entry: CacheEntry, _: Value.Type = Value.self, at now: (wall: WallTime, elapsed: Duration)
    ) -> Value? {
        guard let held = withShard(of: entry.key, { $0.values[entry.key] }),
            now.elapsed - held.vouchedAt <= entry.policy.whenAway.heldFor, now.wall < held.until
        else { return nil }
        let isInvalid = invalidations.withLock { invalidations in
            invalidations.forgotten.concerns(held)
                || ([entry.key] + entry.groups).contains { invalidations.last[$0]?.concerns(held) == true }
        }
        return isInvalid && !PlantedMistake.holdInvalidated.isPlanted ? nil : held.value as? Value
    }

    /// A value or a group is invalid from now on: what was read before is not served, nor what was loaded before a time.
    func invalidate(_ key: StoreKey, settlingUntil: Duration) {
        let order = lastOrder.add(1, ordering: .sequentiallyConsistent).newValue
        let isUsed = isUsed.load(ordering: .sequentiallyConsistent)
        let invalidation = Invalidation(order: order, settlingUntil: settlingUntil)
        invalidations.withLock { invalidations in
            guard isUsed else { return invalidations.forget(invalidation) }
            if let last = invalidations.last[key], last.order > order { return }
            invalidations.last[key] = invalidation
            guard invalidations.last.count > Self.mostInvalidations else { return }
            let oldest = invalidations.last.sorted { $0.value.order < $1.value.order }
            for (key, invalidation) in oldest.prefix(Self.mostInvalidations / 2) {
                invalidations.last[key] = nil
                invalidations.forget(invalidation)
            }
        }
    }

    /// Holds the value no longer.
    func drop(_ key: StoreKey) {
        withShard(of: key) { shard in
            if let held = shard.values.removeValue(forKey: key) { shard.bytes -= held.size }
        }
    }

    private func withShard<Result>(of key: StoreKey, _ body: (inout sending Shard) -> sending Result) -> sending Result
    {
        shards[abs(key.hashValue % Self.shardCount)].shard.withLock(body)
    }
}
