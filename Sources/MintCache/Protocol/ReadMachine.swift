/// The way of one call through the key protocol, up to where it has a value or the right to load one.
///
/// No I/O: it is told what was read and returns what to do next. The rules of a read are in
/// ``decide(_:stamps:at:)``.
struct ReadMachine {
    /// What the call is after.
    enum Goal {
        /// A value, cached or loaded.
        case value
        /// A value whose load began after the call did.
        case refresh
    }

    /// Why the call was not served at its first read; `nil` as long as it was not.
    private(set) var reason: CacheEvent.Reason?

    private let policy: CachePolicy
    private let goal: Goal
    private let startedAt: Duration
    private var hasTriedLast = false
    private var plantingCount = 0
    /// The lease that was seen to run under other stamps than those that were read.
    private var suspect: LoadToken?
    /// The lease of a load of this process that had ended, and that was read again.
    private var ended: LoadToken?
    /// What stood there when a refresh began: any other load began after it.
    private var stoodBefore: (value: LoadToken?, lease: LoadToken?)?
    private var backoff = Backoff(first: .milliseconds(2), longest: .milliseconds(100))

    init(policy: CachePolicy, goal: Goal = .value, since startedAt: Duration) {
        self.policy = policy
        self.goal = goal
        self.startedAt = startedAt
    }

    /// Whether a value may be served, fresh or stale.
    func isServable(_ record: CachedRecord, under groups: GroupReading, at now: WallTime) -> Bool {
        record.freshness(under: groups).map { isServable(record, $0, at: now) } ?? false
    }

    private func isServable(_ record: CachedRecord, _ freshness: Freshness, at now: WallTime) -> Bool {
        if freshness.isFresh(at: now) { return true }
        let staleFor = record.terms?.staleFor ?? policy.staleFor
        return !record.isSettling && staleFor > .zero && now < freshness.until + staleFor
    }

    /// Whether a value may be served in place of an error.
    func isServableInError(_ record: CachedRecord, under groups: GroupReading, at now: WallTime) -> Bool {
        record.freshness(under: groups).map { isServableInError(record, $0, at: now) } ?? false
    }

    private func isServableInError(_ record: CachedRecord, _ freshness: Freshness, at now: WallTime) -> Bool {
        policy.staleIfError.isOn && !record.isSettling && now < freshness.until + policy.staleIfError.duration
    }

    /// Decides what to do with what was read.
    mutating func fetched(_ read: Read, at now: Moment) -> Action {
        if goal == .refresh, stoodBefore == nil {
            stoodBefore = (read.item?.record?.identity, read.item?.envelope?.lease?.token)
        }
        let action: Action =
            switch read.groups {
            case .stamps(let reading): decide(read, under: reading, at: now)
            case .incomplete(let plantings): plant(plantings)
            }
        switch action {
        case .serve, .serveStale, .fail: return action
        case .claim:
            // Whoever waits for the new value has missed the old one.
            note(read.missReason)
            return action
        case .plant, .acquire, .readAgain, .wait, .loadWithoutLease:
            note(read.missReason)
            return isOverdue(for: action, at: now) ? .loadWithoutLease : action
        }
    }

    /// A store that takes no stamps has no room for a lease either.
    private mutating func plant(_ plantings: [Planting]) -> Action {
        plantingCount += 1
        return plantingCount > Self.mostPlantings ? .loadWithoutLease : .plant(plantings)
    }

    /// Stamps may be lost again before they are read, but not for ever.
    private static let mostPlantings = 3

    private mutating func note(_ reason: CacheEvent.Reason) {
        if self.reason == nil { self.reason = goal == .refresh ? .refresh : reason }
    }

    /// The rules of a read, once every group has a stamp.
    private mutating func decide(_ read: Read, under groups: GroupReading, at now: Moment) -> Action {
        let item = read.item
        switch item?.envelope {
        case .value(let record):
            guard let freshness = record.freshness(under: groups) ?? mistaken(record, at: now), let item else { break }
            if isServable(record, freshness, at: now.wall) {
                return decide(on: record, freshness, item, read, groups, at: now)
            }
            if isServableInError(record, freshness, at: now.wall) {
                return decideInError(on: record, freshness, item, read, groups, at: now)
            }
            if let claim = record.lease, isRunning(claim, read, at: now) {
                return wait(for: claim, read, groups, at: now)
            }
        case .pending(let lease, let stamps)
        where stamps.areOfSameGenerations(as: groups.stamps) || PlantedMistake.joinWhateverTheStamps.isPlanted:
            if isRunning(lease, read, at: now), !PlantedMistake.impatience.isPlanted {
                return wait(for: lease, read, groups, at: now)
            }
        case .later(let lease?):
            if isRunning(lease, read, at: now) { return wait(for: lease, read, groups, at: now) }
        case .pending, .mark, .later, nil:
            break
        }
        // A lease that runs under other stamps is outdated, unless the stamps are: a multi-get is not one moment, and may
        // have read them before the lease was taken. Read again, after the lease was seen, they tell.
        if let running = item?.envelope?.lease, isRunning(running, read, at: now), running.token != suspect,
            !PlantedMistake.noSecondLook.isPlanted
        {
            suspect = running.token
            return .readAgain
        }
        if let failure = read.failure, shares(failure, at: now) { return .fail(failure) }
        let lease = lease(over: item, groups, at: now)
        var acquisition = acquisition(
            lease, groups.stamps, over: item?.cas, .pending(lease, stamps: groups.stamps), at: now)
        acquisition.own = item?.record?.ownGroups(under: groups) ?? []
        return .acquire(acquisition)
    }

    /// Planted: old stamps count as an expired value.
    private func mistaken(_ record: CachedRecord, at now: Moment) -> Freshness? {
        guard PlantedMistake.keepWhateverTheStamps.isPlanted, policy.staleIfError.isOn else { return nil }
        return Freshness(until: now.wall + (.zero - policy.staleFor), isExpired: true)
    }

    /// What to do with a value that can be served.
    private mutating func decide(
        on record: CachedRecord, _ freshness: Freshness, _ item: ValueItem, _ read: Read, _ groups: GroupReading,
        at now: Moment
    ) -> Action {
        if goal == .refresh {
            // Its token stood neither on the value nor in its claim when this call had begun: its load is newer.
            if freshness.isFresh(at: now.wall), let before = stoodBefore, record.identity != before.value,
                record.identity != before.lease
            {
                return .serve(record)
            }
            if let claim = record.lease, isRunning(claim, read, at: now), !PlantedMistake.refreshTakesOver.isPlanted {
                return wait(for: claim, read, groups, at: now)
            }
            return .acquire(claim(on: record, freshness, item, groups, at: now))
        }
        if freshness.isFresh(at: now.wall), !read.isEarly || isRefreshedOrPaused(record, read, at: now) {
            return .serve(record)
        }
        if record.isPaused(at: now.wall) { return .serveStale(record, .recentFailure) }
        if let claim = record.lease, isRunning(claim, read, at: now) { return .serveStale(record, nil) }
        if let failure = read.failure, now.elapsed < failure.pausedUntil {
            return .serveStale(record, .recentFailure)
        }
        return .claim(claim(on: record, freshness, item, groups, at: now), serving: record)
    }

    /// Whether a value that is fresh still is not to be refreshed at this moment.
    private func isRefreshedOrPaused(_ record: CachedRecord, _ read: Read, at now: Moment) -> Bool {
        record.isPaused(at: now.wall) || record.lease.map { isRunning($0, read, at: now) } == true
            || read.failure.map { now.elapsed < $0.pausedUntil } == true
    }

    /// What to do with a value that can be served in place of an error only. It is kept while it is loaded anew.
    private mutating func decideInError(
        on record: CachedRecord, _ freshness: Freshness, _ item: ValueItem, _ read: Read, _ groups: GroupReading,
        at now: Moment
    ) -> Action {
        if goal == .value,
            record.isPaused(at: now.wall) || read.failure.map({ now.elapsed < $0.pausedUntil }) == true
        {
            return .serveStale(record, .recentFailure)
        }
        if let claim = record.lease, isRunning(claim, read, at: now) {
            return wait(for: claim, read, groups, at: now)
        }
        return .acquire(claim(on: record, freshness, item, groups, at: now))
    }

    /// The claim carries the stamps that were read, and not the value's: what it loads is fresh under those.
    private func claim(
        on record: CachedRecord, _ freshness: Freshness, _ item: ValueItem, _ groups: GroupReading, at now: Moment
    ) -> Acquisition {
        let lease = lease(over: item, groups, at: now)
        var claimed = record
        claimed.claim = lease
        let stamps = PlantedMistake.claimUnderOldStamps.isPlanted ? record.stamps : groups.stamps
        var acquisition = acquisition(lease, stamps, over: item.cas, .value(claimed), at: now)
        let keptFor = policy.keptFor(record.terms?.staleFor)
        acquisition.expiry = max(acquisition.expiry, freshness.until + keptFor - now.wall)
        acquisition.keptFreshUntil = freshness.until
        acquisition.own = record.ownGroups(under: groups)
        return acquisition
    }

    /// A lease that begins now, in the window that runs, if one does.
    private func lease(over item: ValueItem?, _ groups: GroupReading, at now: Moment) -> Lease {
        var window = groups.settlingUntil
        if !PlantedMistake.forgetWindow.isPlanted { window = max(window, item?.envelope?.settlingUntil ?? .never) }
        return Lease(
            token: .random(), until: now.wall + policy.leaseFor, settlingUntil: now.wall < window ? window : .never)
    }

    private func acquisition(
        _ lease: Lease, _ stamps: GroupStamps, over cas: StoreItem.CAS?, _ envelope: Envelope, at now: Moment
    ) -> Acquisition {
        Acquisition(
            token: lease.token, stamps: stamps, over: cas, envelope: envelope,
            // The window is to be remembered, too.
            expiry: max(policy.leaseExpiry, lease.settlingUntil - now.wall),
            settlingUntil: lease.settlingUntil,
            releasedExpiry: max(Fill.releasedExpiry, policy.errorSharing.duration))
    }

    // MARK: Leases of others

    /// Whether anybody has to wait for a lease: nobody for that of a load which is known to have ended, whatever became
    /// of its fill.
    private func isRunning(_ lease: Lease, _ read: Read, at now: Moment) -> Bool {
        switch read.leaseHere {
        case .orphaned: false
        case .ended: now.wall < lease.until && lease.token != ended
        // Its own process has timed it, whatever has become of the wall clock since.
        case .loading: true
        case .landed: !PlantedMistake.takeOverLanded.isPlanted
        case .unknown: now.wall < lease.until
        }
    }

    private mutating func wait(
        for lease: Lease, _ read: Read, _ groups: GroupReading, at now: Moment
    ) -> Action {
        // It landed after this was read: the next read finds what it left.
        if case .ended = read.leaseHere {
            ended = lease.token
            return .readAgain
        }
        let remaining = max(.milliseconds(1), lease.until - now.wall)
        return .wait(
            Wait(
                token: lease.token, pause: min(backoff.next(), remaining),
                stamps: lease.isExpired ? nil : groups.stamps))
    }

    // MARK: Bounds

    /// Whether this call has gone round for as long as the longest lease runs, which is the longest that it may wait.
    /// When the lease that it waited for is over by then, it has one try to take it.
    private mutating func isOverdue(for action: Action, at now: Moment) -> Bool {
        guard now.elapsed - startedAt >= policy.longestLease else { return false }
        if case .acquire = action, !hasTriedLast {
            hasTriedLast = true
            return false
        }
        return true
    }

    private func shares(_ failure: RecentFailures.Failure, at now: Moment) -> Bool {
        goal == .value && now.elapsed - failure.at < policy.errorSharing.duration
            && policy.errorSharing.includes(failure.error)
    }
}
