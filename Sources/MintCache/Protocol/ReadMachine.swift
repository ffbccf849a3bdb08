/// The way of one call through the key protocol, up to where it has a value or the right to load one.
///
/// No I/O: it is told what was read and returns what to do next. The five rules of a read are in
/// ``decide(_:stamps:at:decode:)``.
struct ReadMachine {
    /// What the call is after.
    enum Goal {
        /// A value, cached or loaded.
        case value
        /// A load that starts now, whatever is cached.
        case refresh
    }

    enum Action<Value> {
        /// Write stamps for the groups that have none, then read again.
        case plant([Planting])
        /// The value is fresh: done.
        case serve(Value)
        /// The value is stale and someone refreshes it: done.
        case serveStale(Value)
        /// The value is stale and nobody refreshes it: claim it. Lost: someone else does, so serve it stale.
        case claim(Acquisition, serving: Value)
        /// Take the lease. Lost: read again.
        case acquire(Acquisition)
        /// Someone else holds the lease, under the stamps that were read. Share the load if it is one of this process;
        /// else pause, then read again.
        case wait(LoadToken, pause: Duration)
        /// The longest wait is over: load, and do not store.
        case loadWithoutLease
    }

    /// What was read under the value key.
    struct ValueItem {
        var cas: StoreItem.CAS
        /// `nil` for bytes that are no envelope of this key.
        var envelope: Envelope?
    }

    /// What was read under a group's generation key.
    enum GroupItem {
        case stamp(GroupStamp)
        case missing
        case garbage(StoreItem.CAS)

        var stamp: GroupStamp? {
            if case .stamp(let stamp) = self { stamp } else { nil }
        }
    }

    /// A generation key to be given its first stamp.
    struct Planting: Equatable {
        var group: Int
        var stamp: GroupStamp
        /// The undecodable item that stands there; `nil` when nothing does.
        var over: StoreItem.CAS?

        /// The planting that a group needs; `nil` when it has a stamp.
        fileprivate init?(group: Int, item: GroupItem) {
            switch item {
            case .stamp: return nil
            case .missing: over = nil
            case .garbage(let cas): over = cas
            }
            self.group = group
            self.stamp = .random()
        }
    }

    private static let firstPause = Duration.milliseconds(2)
    private static let longestPause = Duration.milliseconds(100)

    private let policy: CachePolicy
    private let goal: Goal
    private var startedAt: WallTime?
    private var hasTriedLast = false
    private var pause = firstPause

    init(policy: CachePolicy, goal: Goal = .value) {
        self.policy = policy
        self.goal = goal
    }

    /// Decides what to do with what was read.
    ///
    /// - Parameter decode: the value in a payload; `nil` when it is none, and then the item is taken for garbage.
    mutating func fetched<Value>(
        _ item: ValueItem?, groups: [GroupItem], at now: WallTime, decode: (Payload) -> Value?
    ) -> Action<Value> {
        let plantings = groups.enumerated().compactMap { Planting(group: $0, item: $1) }
        let action: Action<Value> =
            plantings.isEmpty
            ? decide(item, stamps: groups.compactMap(\.stamp), at: now, decode: decode) : .plant(plantings)
        switch action {
        case .serve, .serveStale, .claim: return action
        case .plant, .acquire, .wait, .loadWithoutLease:
            return isOverdue(for: action, at: now) ? .loadWithoutLease : action
        }
    }

    /// The five rules of a read, once every group has a stamp.
    private mutating func decide<Value>(
        _ item: ValueItem?, stamps: [GroupStamp], at now: WallTime, decode: (Payload) -> Value?
    ) -> Action<Value> {
        switch item?.envelope {
        case .value(let record) where record.isServable(under: stamps, at: now, staleFor: policy.staleFor):
            guard let item, let value = decode(record.payload) else { break }
            if goal == .refresh { return .acquire(claim(on: record, item.cas, at: now)) }
            if now < record.freshUntil { return .serve(value) }
            if let claim = record.claim, claim.until > now { return .serveStale(value) }
            return .claim(claim(on: record, item.cas, at: now), serving: value)
        case .value(let record) where record.stamps == stamps:
            if let claim = record.claim, claim.until > now, goal == .value { return wait(for: claim, at: now) }
        case .pending(let lease, stamps) where lease.until > now && goal == .value:
            return wait(for: lease, at: now)
        case .value, .pending, nil:
            break
        }
        let lease = Lease(token: .random(), until: now + policy.leaseFor)
        return .acquire(
            Acquisition(
                token: lease.token, stamps: stamps, over: item?.cas, envelope: .pending(lease, stamps: stamps),
                expiry: policy.leaseExpiry))
    }

    private func claim(on record: CachedRecord, _ cas: StoreItem.CAS, at now: WallTime) -> Acquisition {
        let lease = Lease(token: .random(), until: now + policy.leaseFor)
        var claimed = record
        claimed.claim = lease
        return Acquisition(
            token: lease.token, stamps: record.stamps, over: cas, envelope: .value(claimed),
            expiry: max(policy.leaseExpiry, record.freshUntil + policy.staleFor - now))
    }

    private mutating func wait<Value>(for lease: Lease, at now: WallTime) -> Action<Value> {
        defer { pause = min(pause * 2, Self.longestPause) }
        let remaining = max(.milliseconds(1), lease.until - now)
        return .wait(lease.token, pause: min(pause, remaining))
    }

    /// Whether this call has gone round for as long as a lease runs, which is the longest that it may wait. When the
    /// lease that it waited for is over by then, it has one try to take it.
    private mutating func isOverdue<Value>(for action: Action<Value>, at now: WallTime) -> Bool {
        guard let startedAt else {
            startedAt = now
            return false
        }
        guard now >= startedAt + policy.leaseFor else { return false }
        if case .acquire = action, !hasTriedLast {
            hasTriedLast = true
            return false
        }
        return true
    }
}

/// The write that takes the lease on a register.
struct Acquisition: Equatable {
    var token: LoadToken
    /// The stamps that were read before, which a fill under this lease carries.
    var stamps: [GroupStamp]
    /// The item to swap; `nil` to add where there is none.
    var over: StoreItem.CAS?
    var envelope: Envelope
    var expiry: Duration
}
