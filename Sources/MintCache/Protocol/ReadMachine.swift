/// The way of one call through the key protocol, up to where it has a value or the right to load one.
///
/// No I/O: it is told what was read and returns what to do next. The five rules of a read are in
/// ``decide(_:stamps:at:)``.
struct ReadMachine {
    /// What the call is after.
    enum Goal {
        /// A value, cached or loaded.
        case value
        /// A load that starts now, whatever is cached.
        case refresh
    }

    enum Action {
        /// Write stamps for the groups that have none, then read again.
        case plant([Planting])
        /// The value is fresh: done.
        case serve(CachedRecord)
        /// The value is stale and someone refreshes it: done.
        case serveStale(CachedRecord)
        /// The value is stale and nobody refreshes it: claim it. Lost: someone else does, so serve it stale.
        case claim(Acquisition, serving: CachedRecord)
        /// Take the lease. Lost: read again.
        case acquire(Acquisition)
        /// Read again at once.
        case readAgain
        /// Someone else holds the lease, under the stamps that were read. Share the load if it is one of this process;
        /// else pause, then read again: once without a pause if it was one and has just ended.
        case wait(LoadToken, pause: Duration)
        /// The longest wait is over: load, and do not store.
        case loadWithoutLease

        /// What it would serve. If that cannot be decoded, it is garbage: see ``Read/withGarbage``.
        var record: CachedRecord? {
            switch self {
            case .serve(let record), .serveStale(let record), .claim(_, serving: let record): record
            case .plant, .acquire, .readAgain, .wait, .loadWithoutLease: nil
            }
        }
    }

    /// What was read.
    struct Read {
        /// Under the value key.
        var item: ValueItem?
        var groups: Groups

        /// The same with an item that is nothing to us.
        var withGarbage: Read { Read(item: item.map { ValueItem(cas: $0.cas) }, groups: groups) }
    }

    /// What was read under the value key.
    struct ValueItem {
        var cas: StoreItem.CAS
        /// `nil` for bytes that are no envelope of this key.
        var envelope: Envelope?
    }

    /// What was read under the generation keys.
    enum Groups {
        case stamps(GroupStamps)
        /// Some have no stamp.
        case incomplete([Planting])
    }

    /// A generation key to be given its first stamp.
    struct Planting: Equatable {
        var group: Int
        var stamp = GroupStamp.random()
        /// The undecodable item that stands there; `nil` when nothing does.
        var over: StoreItem.CAS?
    }

    private static let firstPause = Duration.milliseconds(2)
    private static let longestPause = Duration.milliseconds(100)

    private let policy: CachePolicy
    private let goal: Goal
    private var startedAt: WallTime?
    private var hasTriedLast = false
    /// The lease that was seen to run under other stamps than those that were read.
    private var suspect: LoadToken?
    private var pause = firstPause

    init(policy: CachePolicy, goal: Goal = .value) {
        self.policy = policy
        self.goal = goal
    }

    /// Decides what to do with what was read.
    mutating func fetched(_ read: Read, at now: WallTime) -> Action {
        let action: Action =
            switch read.groups {
            case .stamps(let stamps): decide(read.item, stamps: stamps, at: now)
            case .incomplete(let plantings): .plant(plantings)
            }
        switch action {
        case .serve, .serveStale, .claim: return action
        case .plant, .acquire, .readAgain, .wait, .loadWithoutLease:
            return isOverdue(for: action, at: now) ? .loadWithoutLease : action
        }
    }

    /// The five rules of a read, once every group has a stamp.
    private mutating func decide(_ item: ValueItem?, stamps: GroupStamps, at now: WallTime) -> Action {
        switch item?.envelope {
        case .value(let record) where record.isServable(under: stamps, at: now, staleFor: policy.staleFor):
            guard let item else { break }
            if goal == .refresh { return .acquire(claim(on: record, item.cas, at: now)) }
            if now < record.freshUntil { return .serve(record) }
            if let claim = record.claim, claim.until > now { return .serveStale(record) }
            return .claim(claim(on: record, item.cas, at: now), serving: record)
        case .value(let record) where record.stamps == stamps:
            if let claim = record.claim, claim.until > now, goal == .value { return wait(for: claim, at: now) }
        case .pending(let lease, let leaseStamps)
        where leaseStamps == stamps || PlantedMistake.joinWhateverTheStamps.isPlanted:
            guard lease.until > now, goal == .value, !PlantedMistake.impatience.isPlanted else { break }
            return wait(for: lease, at: now)
        case .value, .pending, nil:
            break
        }
        // A lease that runs under other stamps is outdated, unless the stamps are: a multi-get of several servers may
        // have read them before the lease was taken. Read again, after the lease was seen, they tell.
        if let running = item?.envelope?.lease, running.until > now, goal == .value, running.token != suspect,
            !PlantedMistake.noSecondLook.isPlanted
        {
            suspect = running.token
            return .readAgain
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

    private mutating func wait(for lease: Lease, at now: WallTime) -> Action {
        defer { pause = min(pause * 2, Self.longestPause) }
        let remaining = max(.milliseconds(1), lease.until - now)
        return .wait(lease.token, pause: min(pause, remaining))
    }

    /// Whether this call has gone round for as long as a lease runs, which is the longest that it may wait. When the
    /// lease that it waited for is over by then, it has one try to take it.
    private mutating func isOverdue(for action: Action, at now: WallTime) -> Bool {
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
    var stamps: GroupStamps
    /// The item to swap; `nil` to add where there is none.
    var over: StoreItem.CAS?
    var envelope: Envelope
    var expiry: Duration
}
