import Synchronization

/// Invalidations that are to be repeated until they succeed, each beside the others, and one at a time for each target.
package final class PendingInvalidations: Sendable {
    /// Is told when one has succeeded, or the error for which it was given up.
    package typealias WhenDone = @Sendable (_ error: CacheError?) -> Void

    /// Whoever adds another one waits: so many are kept.
    static let most = 10_000

    /// What names the repeating of a target, from when it is added until it is done.
    struct ID: Equatable {
        fileprivate let number: UInt64
    }

    /// The pause before the next attempt.
    struct Pause: Sendable {
        /// Resolved when the pause is over, with whether an attempt is to follow.
        let end = Promise<Bool>()
    }

    /// What came of adding one.
    enum Added {
        /// It is to be repeated until it is done with; where it has failed already, after a pause.
        case new(ID, Pause?)
        /// It is being repeated already, and will be once more.
        case asked
        /// There is none: what to wait for.
        case noRoom(Promise<Void>)
    }

    private struct Item {
        let id: ID
        var hasFailed: Bool
        /// For how long what is loaded after it is settling: the longest that was asked for.
        var settlingFor: Duration
        /// When it was asked for last: by the clock that nobody can set, and in the order of all that happens here.
        var since: Duration
        var asked: UInt64
        /// Whether it was asked for again since the attempt that is under way began.
        var isAskedAgain = false
        var failures = 0
        var error: (any Error)?
        /// `nil` while an attempt is under way.
        var pause: Pause?
        var whenDone: [WhenDone] = []
    }

    private struct State {
        var items: [InvalidationTarget: Item] = [:]
        var waiting: [Promise<Void>] = []
        /// Counts what happens here.
        var order: UInt64 = 0

        mutating func next() -> UInt64 {
            order += 1
            return order
        }
    }

    private let state = Mutex(State())
    /// How many have failed. Read by every hit, written when there is trouble.
    private let failed = Atomic(0)

    // MARK: Repeating

    /// Adds one.
    func add(
        _ target: InvalidationTarget, settlingFor window: Duration = .zero, failure: (any Error)? = nil,
        at now: Duration, whenDone: WhenDone? = nil
    ) -> Added {
        state.withLock { state in
            let order = state.next()
            if var item = state.items[target] {
                item.isAskedAgain = true
                item.settlingFor = max(item.settlingFor, window)
                (item.since, item.asked) = (now, order)
                if let whenDone { item.whenDone.append(whenDone) }
                if let failure { note(failure, &item) }
                state.items[target] = item
                return .asked
            }
            guard state.items.count < Self.most else {
                let room = Promise<Void>()
                // Whoever wants to know when it is done waits for room.
                if whenDone != nil { state.waiting.append(room) }
                return .noRoom(room)
            }
            var item = Item(
                id: ID(number: order), hasFailed: false, settlingFor: window, since: now, asked: order,
                whenDone: whenDone.map { [$0] } ?? [])
            if let failure {
                note(failure, &item)
                item.pause = Pause()
            }
            state.items[target] = item
            return .new(item.id, item.pause)
        }
    }

    private func note(_ error: any Error, _ item: inout Item) {
        item.failures += 1
        item.error = error
        guard !item.hasFailed else { return }
        item.hasFailed = true
        failed.add(1, ordering: .relaxed)
    }

    /// An attempt begins: it serves all that have asked so far.
    ///
    /// - Returns: for how long what is loaded after it is settling; `nil` when the target is done with.
    func begin(_ target: InvalidationTarget, _ id: ID) -> Duration? {
        state.withLock { state in
            guard state.items[target]?.id == id else { return nil }
            state.items[target]?.isAskedAgain = false
            return state.items[target]?.settlingFor
        }
    }

    /// An attempt has failed: from now on this process takes what it names for invalid.
    ///
    /// - Returns: the pause before the next one; `nil` when the target is done with.
    func fail(_ target: InvalidationTarget, _ id: ID, _ error: any Error) -> Pause? {
        state.withLock { state in
            guard var item = state.items[target], item.id == id else { return nil }
            note(error, &item)
            item.pause = Pause()
            state.items[target] = item
            return item.pause
        }
    }

    /// Ends the pause of a target, if there is one.
    ///
    /// - Parameter attempt: is called before the attempt is, if one is to follow.
    func endPause(of target: InvalidationTarget, _ id: ID? = nil, before attempt: () -> Void) {
        let pause = state.withLock { state -> Pause? in
            guard let item = state.items[target], id == nil || item.id == id else { return nil }
            return state.items[target]?.pause.take()
        }
        guard let pause else { return }
        attempt()
        pause.end.resolve(.success(true))
    }

    /// Gives up what is not being attempted and was asked for before a time, and says whether it did.
    func giveUp(_ target: InvalidationTarget, _ id: ID, since time: Duration, for error: CacheError) -> Bool {
        finish(target, error) { $0.id == id && $0.pause != nil && $0.since <= time }
    }

    /// An attempt has succeeded, or is the last.
    ///
    /// - Parameter error: for which there is to be no attempt after it, whoever asked.
    func end(_ target: InvalidationTarget, _ id: ID, gaveUpFor error: CacheError? = nil) {
        finish(target, error) { $0.id == id && (error != nil || !$0.isAskedAgain) }
    }

    @discardableResult
    private func finish(
        _ target: InvalidationTarget, _ error: CacheError?, where isDone: (Item) -> Bool
    ) -> Bool {
        let (done, room) = state.withLock { state -> (Item?, Promise<Void>?) in
            guard let item = state.items[target], isDone(item) else { return (nil, nil) }
            state.items[target] = nil
            if item.hasFailed { failed.subtract(1, ordering: .relaxed) }
            return (item, state.waiting.isEmpty ? nil : state.waiting.removeFirst())
        }
        room?.resolve(.success(()))
        done?.pause?.end.resolve(.success(false))
        for whenDone in done?.whenDone ?? [] { whenDone(error) }
        return done != nil
    }

    // MARK: Beside it

    /// Where in the order of all that happens here an invalidation begins: see ``succeeded(_:since:)``.
    func mark() -> UInt64 { state.withLock { $0.next() } }

    /// An invalidation beside the repeating has succeeded, which began after that was asked for: nothing is left to repeat.
    func succeeded(_ target: InvalidationTarget, since mark: UInt64) {
        guard failed.load(ordering: .relaxed) > 0 else { return }
        finish(target, nil) { $0.asked < mark }
    }

    // MARK: What is pending

    /// All that have failed, the one that has waited longest first.
    func all(at now: Duration) -> [PendingInvalidation] {
        state.withLock { state in
            state.items.filter(\.value.hasFailed).sorted { $0.value.asked < $1.value.asked }.map { target, item in
                PendingInvalidation(
                    key: target.key, function: target.function, isGroup: target.kind != .value,
                    age: now - item.since, failures: item.failures, error: item.error)
            }
        }
    }

    /// All that are being repeated.
    var targets: [InvalidationTarget] { state.withLock { Array($0.items.keys) } }

    /// Whether an invalidation that has failed names an entry or one of its groups.
    @inline(__always)
    func names(_ entry: CacheEntry, in store: any CacheStore) -> Bool {
        failed.load(ordering: .relaxed) > 0 && isNamed(entry, in: store)
    }

    @inline(never)
    private func isNamed(_ entry: CacheEntry, in store: any CacheStore) -> Bool {
        !PlantedMistake.forgetPending.isPlanted && naming(entry, in: store) { !$0.isEmpty }
    }

    /// Whether an invalidation has failed that names one of some groups.
    func names(groups: [StoreKey], in part: Int) -> Bool {
        guard failed.load(ordering: .relaxed) > 0, !PlantedMistake.forgetPending.isPlanted else { return false }
        return state.withLock { state in
            groups.contains { state.items[.group($0, in: part)]?.hasFailed == true }
        }
    }

    /// Which of some entries, by their numbers, an invalidation names that has failed, or one of their groups.
    func naming(_ numbers: [Int], of entries: BatchEntries, in store: any CacheStore) -> Set<Int> {
        guard failed.load(ordering: .relaxed) > 0 else { return [] }
        return Set(numbers.filter { names(entries[$0], in: store) })
    }

    /// Whether one of them has a window in which what is loaded is settling.
    func settles(_ entry: CacheEntry, in store: any CacheStore) -> Bool {
        naming(entry, in: store) { $0.contains { $0.settlingFor > .zero } }
    }

    /// Those that have failed and name an entry or one of its groups.
    private func naming(_ entry: CacheEntry, in store: any CacheStore, _ check: ([Item]) -> Bool) -> Bool {
        let part = store.part(of: entry.key).id
        return state.withLock { state in
            let targets: [InvalidationTarget] = [.value(entry.key)] + entry.groups.map { .group($0, in: part) }
            return check(targets.compactMap { state.items[$0] }.filter(\.hasFailed))
        }
    }
}
