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

    private struct Invalidations {
        /// When, in the order of all that happens here, each key was invalidated last.
        var last: [StoreKey: UInt64] = [:]
        /// What was vouched for before that may have been invalidated by one that is not remembered.
        var forgotten: UInt64 = 0
    }

    private final class LockedShard: Sendable {
        let shard = Mutex(Shard())
    }

    private let shards = (0..<shardCount).map { _ in LockedShard() }
    private let invalidations = Mutex(Invalidations())
    private let lastOrder = Atomic<UInt64>(0)

    /// Where in the order of all that happens here a read begins.
    var order: UInt64 { lastOrder.load(ordering: .acquiring) }

    /// Holds a value.
    ///
    /// - Parameters:
    ///   - size: of its payload in bytes. One that would take a shard for itself is not held.
    ///   - order: where the read or the load began that it is from.
    ///   - until: it is not served after that.
    func hold(
        _ value: some Sendable, under key: StoreKey, size: Int, order: UInt64, at now: Duration, until: WallTime
    ) {
        guard size <= Self.mostBytes / Self.shardCount / 4 else { return }
        let held = Held(value: value, size: size, order: order, vouchedAt: now, until: until)
        withShard(of: key) { shard in
            if let older = shard.values[key], older.order > order { return }
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
            held.order < invalidations.forgotten
                || ([entry.key] + entry.groups).contains { held.order < invalidations.last[$0, default: 0] }
        }
        return isInvalid ? nil : held.value as? Value
    }

    /// A value or a group is invalid from now on: what was read before is not served.
    func invalidate(_ key: StoreKey) {
        invalidations.withLock { invalidations in
            invalidations.last[key] = lastOrder.add(1, ordering: .acquiringAndReleasing).newValue
            guard invalidations.last.count > Self.mostInvalidations else { return }
            let oldest = invalidations.last.sorted { $0.value < $1.value }.prefix(Self.mostInvalidations / 2)
            for (key, order) in oldest {
                invalidations.last[key] = nil
                invalidations.forgotten = order
            }
        }
    }

    private func withShard<Result>(of key: StoreKey, _ body: (inout sending Shard) -> sending Result) -> sending Result
    {
        shards[abs(key.hashValue % Self.shardCount)].shard.withLock(body)
    }
}
