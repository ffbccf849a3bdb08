import Synchronization

/// Invalidations that are to be repeated until they succeed, each beside the others, and one at a time for each key.
package final class PendingInvalidations: Sendable {
    /// Is told whether it has succeeded, or was given up.
    package typealias WhenDone = @Sendable (_ isSent: Bool) -> Void

    /// Whoever adds another one waits: so many are kept.
    static let most = 10_000

    private struct Item {
        var hasFailed: Bool
        /// For how long what is loaded after it is settling: the longest that was asked for.
        var settlingFor: Duration
        /// Whether it was asked for again since the attempt that is under way began.
        var isAskedAgain = false
        var whenDone: [WhenDone] = []
    }

    private struct State {
        var items: [InvalidationTarget: Item] = [:]
        var waiting: [Promise<Void>] = []
    }

    private let state = Mutex(State())
    /// How many have failed. Read by every hit, written when there is trouble.
    private let failed = Atomic(0)

    /// Adds one, and says whether an attempt has to be begun; `nil` when there is no room, and then what to wait for.
    func add(
        _ target: InvalidationTarget, settlingFor window: Duration = .zero, hasFailed: Bool, whenDone: WhenDone? = nil
    ) -> (isNew: Bool, noRoom: Promise<Void>?) {
        state.withLock { state in
            if let item = state.items[target] {
                state.items[target]?.isAskedAgain = true
                state.items[target]?.settlingFor = max(item.settlingFor, window)
                if hasFailed, !item.hasFailed {
                    state.items[target]?.hasFailed = true
                    failed.add(1, ordering: .relaxed)
                }
                if let whenDone { state.items[target]?.whenDone.append(whenDone) }
                return (false, nil)
            }
            guard state.items.count < Self.most else {
                let room = Promise<Void>()
                // Whoever wants to know when it is done waits for room.
                if whenDone != nil { state.waiting.append(room) }
                return (false, room)
            }
            state.items[target] = Item(
                hasFailed: hasFailed, settlingFor: window, whenDone: whenDone.map { [$0] } ?? [])
            if hasFailed { failed.add(1, ordering: .relaxed) }
            return (true, nil)
        }
    }

    /// An attempt begins: it serves all that have asked so far.
    ///
    /// - Returns: for how long what is loaded after it is settling.
    func begin(_ target: InvalidationTarget) -> Duration {
        state.withLock { state in
            state.items[target]?.isAskedAgain = false
            return state.items[target]?.settlingFor ?? .zero
        }
    }

    /// An attempt has failed: from now on this process takes what it names for invalid.
    func fail(_ target: InvalidationTarget) {
        state.withLock { state in
            guard state.items[target]?.hasFailed == false else { return }
            state.items[target]?.hasFailed = true
            failed.add(1, ordering: .relaxed)
        }
    }

    /// An attempt has succeeded, or is the last: says whether the target is done with.
    ///
    /// - Parameter gaveUp: whether there is to be none after it, whoever asked.
    func end(_ target: InvalidationTarget, gaveUp: Bool) -> Bool {
        let (done, room) = state.withLock { state -> (Item?, Promise<Void>?) in
            guard let item = state.items[target], gaveUp || !item.isAskedAgain else { return (nil, nil) }
            state.items[target] = nil
            if item.hasFailed { failed.subtract(1, ordering: .relaxed) }
            return (item, state.waiting.isEmpty ? nil : state.waiting.removeFirst())
        }
        room?.resolve(.success(()))
        for whenDone in done?.whenDone ?? [] { whenDone(!gaveUp) }
        return done != nil
    }

    /// Whether an invalidation that has failed names an entry or one of its groups.
    @inline(__always)
    func names(_ entry: CacheEntry, in store: any CacheStore) -> Bool {
        failed.load(ordering: .relaxed) > 0 && isNamed(entry, in: store)
    }

    @inline(never)
    private func isNamed(_ entry: CacheEntry, in store: any CacheStore) -> Bool {
        naming(entry, in: store) { !$0.isEmpty }
    }

    /// Whether one of them has a window in which what is loaded is settling.
    func settles(_ entry: CacheEntry, in store: any CacheStore) -> Bool {
        naming(entry, in: store) { $0.contains { $0.settlingFor > .zero } }
    }

    /// Those that have failed and name an entry or one of its groups.
    private func naming(_ entry: CacheEntry, in store: any CacheStore, _ check: ([Item]) -> Bool) -> Bool {
        let part = store.part(of: entry.key)
        return state.withLock { state in
            let targets: [InvalidationTarget] = [.value(entry.key)] + entry.groups.map { .group($0, in: part) }
            return check(targets.compactMap { state.items[$0] }.filter(\.hasFailed))
        }
    }
}
