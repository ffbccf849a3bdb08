import MintCache
import Synchronization

/// The last decoded values of a cache, so that a value which has not changed in the store since it was read last is not
/// decoded again. One table for all functions, so that all together are bounded, in bytes of memory.
///
/// Nothing is served from here alone: a caller has read the identity of the payload in the store just before. What is
/// invalidated here is let go; the values of a group once in a second, since all are looked at for that.
final class DecodedValues: Sendable {
    private static let sweepPause = Duration.seconds(1)

    /// What is to be let go.
    private struct Sweep {
        var groups: Set<StoreKey> = []
        var last: Duration?
    }

    let shards: [DecodedShard]
    private let clock: any CacheClock
    private let sweep = Mutex(Sweep())
    private let isSweepWanted = Atomic(false)

    /// - Parameter capacity: in bytes.
    init(capacity: Int, clock: any CacheClock) {
        let count = 1 << Int(DecodedPlace.shardBits)
        shards = (0..<count).map { _ in DecodedShard(capacity: capacity / count) }
        self.clock = clock
    }

    deinit {
        for shard in shards { Self.free(shard.sets.withLock { $0.removeAll() }) }
    }

    /// Keeps a value, instead of older ones when there are too many.
    func keep(_ entry: DecodedEntry, at place: DecodedPlace) {
        Self.free(shards[place.shard].sets.withLock { $0.keep(entry, at: place) })
        if isSweepWanted.load(ordering: .relaxed) { sweepIfDue() }
    }

    /// The value of a key is invalid from now on.
    func forget(key: StoreKey) {
        let place = DecodedPlace(key: key, mask: 0)
        Self.free(shards[place.shard].sets.withLock { $0.remove(place) })
    }

    /// The values of a group are invalid from now on. They go at once, or with the first value that is kept a second after
    /// others went.
    func forget(group: StoreKey) {
        sweep.withLock { _ = $0.groups.insert(group) }
        isSweepWanted.store(true, ordering: .relaxed)
        sweepIfDue()
    }

    private func sweepIfDue() {
        let now = clock.elapsed
        let groups = sweep.withLock { sweep -> Set<StoreKey> in
            if let last = sweep.last, now - last < Self.sweepPause { return [] }
            defer { sweep = Sweep(last: now) }
            isSweepWanted.store(false, ordering: .relaxed)
            return sweep.groups
        }
        guard !groups.isEmpty else { return }
        for shard in shards { Self.free(shard.sets.withLock { $0.remove(groups: groups) }) }
    }

    private static func free(_ entries: [DecodedEntry]) {
        for entry in entries { entry.free() }
    }
}

/// Some of the sets of the table, under one lock, so that callers on many cores seldom meet.
final class DecodedShard: Sendable {
    let sets: Mutex<DecodedSets>

    init(capacity: Int) { sets = Mutex(DecodedSets(capacity: capacity)) }
}

/// That a decoded value is not kept, or no longer.
struct NotKept: Error {}
