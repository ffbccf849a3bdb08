import Synchronization

/// The last failed loads of this process, by key, and the pauses that follow them.
final class RecentFailures: Sendable {
    /// A load that failed.
    struct Failure: Sendable {
        var error: any Error
        /// When it ended, on the clock that nobody can set.
        var at: Duration
        /// Until when stale values are served without another attempt.
        var pausedUntil: Duration
        /// What the load left in the register: the value that stands there still, or its own token, given back.
        var left: LoadToken
        var stamps: GroupStamps
        /// How many loads of the key have failed in a row.
        var count: Int
    }

    /// Older ones go when there are more.
    static let most = 4096

    private struct Table {
        var failures: [StoreKey: Failure] = [:]
        /// In the order in which they came, with those that are gone.
        var order: [StoreKey] = []
    }

    private let table = Mutex(Table())
    private let isEmpty = Atomic(true)

    /// A load failed.
    ///
    /// - Returns: how long the pause is that follows.
    @discardableResult
    func note(
        _ error: any Error, of key: StoreKey, left: LoadToken, stamps: GroupStamps, at now: Duration,
        _ pause: CachePolicy.FailurePause
    ) -> Duration {
        table.withLock { table in
            let count = (table.failures[key]?.count ?? 0) + 1
            // Doubling stops before it overflows.
            let first = min(pause.first, .longestLifetime)
            let length = min(first * (1 << min(count - 1, 20)), max(pause.longest, first))
            if table.failures[key] == nil { table.order.append(key) }
            table.failures[key] = Failure(
                error: error, at: now, pausedUntil: now + length, left: left, stamps: stamps, count: count)
            if table.order.count > 2 * Self.most {
                let kept = table.order.filter { table.failures[$0] != nil }
                for key in kept.dropLast(Self.most) { table.failures[key] = nil }
                table.order = kept.suffix(Self.most)
            }
            isEmpty.store(false, ordering: .relaxed)
            return length
        }
    }

    /// A load worked, or the key was invalidated here: what failed before counts no more.
    func forget(_ key: StoreKey) {
        guard !isEmpty.load(ordering: .relaxed) else { return }
        table.withLock { table in
            table.failures[key] = nil
            if table.failures.isEmpty {
                table.order = []
                isEmpty.store(true, ordering: .relaxed)
            }
        }
    }

    /// The last failure of a key, if no other register and no other stamps stand there since.
    func failure(of key: StoreKey, left: LoadToken, stamps: GroupStamps) -> Failure? {
        guard !isEmpty.load(ordering: .relaxed), let failure = table.withLock({ $0.failures[key] }),
            failure.left == left, failure.stamps == stamps
        else { return nil }
        return failure
    }
}
