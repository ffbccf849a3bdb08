import Synchronization

/// Which groups are read most, so that their stamps can be kept warm: a store that is full of larger values loses within
/// seconds what nobody reads.
final class WarmGroups: Sendable {
    /// Of so many reads one is counted.
    private static let sample = 16
    /// So many groups are counted; beyond that those that were read least are forgotten.
    private static let most = 1024
    /// When so many reads of a group were counted, those before count for half.
    private static let longAgo = 4096
    /// How often stamps are read.
    static let interval = Duration.seconds(3)

    private let count: Int
    private let reads = Atomic(0)
    private let counts = Mutex<[StoreKey: Int]>([:])

    /// - Parameter count: how many groups to keep warm.
    init(_ count: Int) { self.count = count }

    /// Groups were read.
    func note(_ groups: [StoreKey]) {
        guard reads.add(1, ordering: .relaxed).oldValue.isMultiple(of: Self.sample) else { return }
        counts.withLock { counts in
            for group in groups {
                counts[group, default: 0] += 1
                if counts[group, default: 0] > Self.longAgo { counts = counts.mapValues { $0 / 2 } }
            }
            guard counts.count > Self.most else { return }
            for (group, _) in counts.sorted(by: { $0.value < $1.value }).prefix(Self.most / 2) { counts[group] = nil }
        }
    }

    /// The groups that were read most.
    var warmest: [StoreKey] {
        counts.withLock { $0.sorted { $0.value > $1.value }.prefix(count).map(\.key) }
    }
}

extension ReadThroughCache {
    /// Reads the stamps of the groups that are read most, every few seconds, for as long as the cache is there.
    static func keepWarm(_ groups: WarmGroups, clock: any CacheClock, of cache: ReadThroughCache) {
        Task.detached(priority: .background) { [weak cache] in
            while (try? await clock.sleep(for: WarmGroups.interval)) != nil {
                guard let parts = cache?.store.parts else { return }
                let keys = groups.warmest
                guard !keys.isEmpty else { continue }
                for part in parts { _ = try? await part.store.get(keys) }
            }
        }
    }
}
