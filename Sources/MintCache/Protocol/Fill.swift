/// The end of a load: what to write over the register that carries its token. No I/O.
enum Fill {
    /// How a load ended.
    enum Outcome: Equatable {
        /// It has a value to be cached.
        case value(Loaded)
        /// It succeeded with nothing that can be cached: what was cached before is outdated.
        case nothing
        /// It failed: a value that was cached before may go on being served, and nobody is to refresh it until then.
        case failure(pausedUntil: WallTime = .never)
    }

    /// A value, and what is to be written of it.
    struct Loaded: Equatable {
        var payload: Payload
        var ttl: Duration
        /// How long the store keeps it after that.
        var keptFor: Duration
        /// How long the load took.
        var took: Duration
        /// Whether the load began within a window, so that it may be what a lagging replica said.
        var isSettling = false
        /// The number of the list of servers.
        var list: UInt32 = 0
        /// What is to be remembered of what the load said.
        var terms: ValueTerms?
    }

    /// What to write, and for how long.
    struct Write: Equatable {
        var envelope: Envelope
        var expiry: Duration
    }

    /// How long a register is kept that has been given back. Nothing is served from it; it only has to go.
    static let releasedExpiry = Duration.seconds(1)

    /// The write that ends the load; `nil` when the register no longer carries the load's token, and then nothing may
    /// be written: someone invalidated it, took it over, or it was evicted.
    static func write(
        _ outcome: Outcome, under acquisition: Acquisition, over current: Envelope?, at now: WallTime
    ) -> Write? {
        let lease = current?.lease
        guard lease?.token == acquisition.token || PlantedMistake.fillWithoutToken.isPlanted else { return nil }
        let isExpired = lease?.isExpired == true
        switch (outcome, current) {
        case (.value(let loaded), _):
            return write(loaded, under: acquisition, isExpired: isExpired, at: now)
        case (.failure(let pausedUntil), .value(var record)):
            record.claim = record.claim?.over
            if now < pausedUntil { record.pause(until: pausedUntil) }
            return Write(envelope: .value(record), expiry: acquisition.expiry)
        case (.nothing, _), (.failure, _):
            return released(acquisition, isExpired: isExpired, at: now)
        }
    }

    private static func write(
        _ loaded: Loaded, under acquisition: Acquisition, isExpired: Bool, at now: WallTime
    ) -> Write {
        let ttl = min(loaded.ttl, .longestLifetime)
        var record = CachedRecord(
            identity: acquisition.token, createdAt: now, freshUntil: now + ttl,
            loadMicroseconds: UInt32(clamping: loaded.took.wholeMicroseconds), isSettling: loaded.isSettling,
            list: loaded.list, claim: nil, stamps: acquisition.stamps, terms: loaded.terms, payload: loaded.payload)
        // Its key was expired since the load began.
        if isExpired { (record.freshUntil, record.isExpired) = (now, true) }
        guard loaded.isSettling else { return Write(envelope: .value(record), expiry: ttl + loaded.keptFor) }
        record.freshUntil = min(record.freshUntil, acquisition.settlingUntil)
        guard now < record.freshUntil else { return released(acquisition, isExpired: isExpired, at: now) }
        // The window may be longer than the value is fresh: a claim that is over remembers it.
        record.claim = Lease.over(acquisition.token, settlingUntil: acquisition.settlingUntil)
        return Write(envelope: .value(record), expiry: kept(acquisition, at: now))
    }

    /// A register that was given back. It remembers the window, and that its key was expired: a load that was given up
    /// may fill it still.
    private static func released(_ acquisition: Acquisition, isExpired: Bool, at now: WallTime) -> Write {
        var lease = Lease.over(acquisition.token, settlingUntil: acquisition.settlingUntil)
        lease.isExpired = isExpired
        return Write(envelope: .pending(lease, stamps: acquisition.stamps), expiry: kept(acquisition, at: now))
    }

    private static func kept(_ acquisition: Acquisition, at now: WallTime) -> Duration {
        max(acquisition.releasedExpiry, acquisition.settlingUntil - now)
    }

    /// The write that prolongs the lease; `nil` when the register no longer carries the load's token.
    static func prolongation(
        of acquisition: Acquisition, over current: Envelope?, by duration: Duration
    ) -> Write? {
        guard let lease = current?.lease,
            lease.token == acquisition.token || PlantedMistake.prolongWhateverStands.isPlanted
        else { return nil }
        var longer = lease
        (longer.token, longer.until) = (acquisition.token, lease.until + duration)
        switch current {
        case .value(var record):
            record.claim = longer
            return Write(envelope: .value(record), expiry: acquisition.expiry)
        default:
            return Write(envelope: .pending(longer, stamps: acquisition.stamps), expiry: acquisition.expiry)
        }
    }

    /// The write that removes a value which a refresh has replaced although it could not be stored. A load that runs on
    /// it keeps its lease.
    ///
    /// - Parameters:
    ///   - old: the load of the value that stood there when the refresh claimed it.
    ///   - expiry: of an item that carries a lease.
    static func removal(of old: LoadToken, from current: Envelope?, expiry: Duration) -> Write? {
        guard case .value(let record) = current, record.identity == old else { return nil }
        let lease = record.lease ?? .over(record.identity)
        return Write(envelope: .pending(lease, stamps: record.stamps), expiry: expiry)
    }

    /// The write that expires what stands in the register; `nil` when nothing does that could be fresh.
    static func expiry(of current: Envelope?, at now: WallTime, _ policy: CachePolicy) -> Write? {
        switch current {
        case .pending(var lease, let stamps):
            guard !lease.isExpired, !PlantedMistake.spareExpiredPending.isPlanted else { return nil }
            lease.isExpired = true
            return Write(envelope: .pending(lease, stamps: stamps), expiry: longest(lease, policy, at: now))
        case .value(var record):
            guard !record.isExpired || record.claim?.isExpired == false else { return nil }
            let left = max(.zero, record.freshUntil - now)
            let keptFor = policy.keptFor(record.terms?.staleFor)
            record.freshUntil = min(record.freshUntil, now)
            record.isExpired = true
            record.claim?.isExpired = true
            return Write(
                envelope: .value(record), expiry: max(left + keptFor, longest(record.claim, policy, at: now)))
        case .mark, .later, nil:
            return nil
        }
    }

    /// How long an item has to be kept for its lease and its window, whatever policy the lease was taken under.
    private static func longest(_ lease: Lease?, _ policy: CachePolicy, at now: WallTime) -> Duration {
        guard let lease else { return policy.leaseExpiry }
        return max(policy.leaseExpiry, lease.until - now + policy.longestLease, lease.settlingUntil - now)
    }
}

extension CachedRecord {
    /// Whether nobody is to refresh it, since that has failed a moment ago.
    ///
    /// The pause is a claim by the very load that filled it, which no load can have: each has a token of its own.
    func isPaused(at now: WallTime) -> Bool { claim.map { $0.token == identity && now < $0.until } ?? false }

    /// The lease of the load that refreshes it: a pause is none.
    var lease: Lease? {
        guard let claim, claim.token == identity else { return claim }
        return .over(identity, settlingUntil: claim.settlingUntil)
    }

    fileprivate mutating func pause(until end: WallTime) {
        claim = Lease(token: identity, until: end, settlingUntil: claim?.settlingUntil ?? .never)
    }
}

extension Lease {
    /// A lease that was given back: nobody waits for it.
    static func over(_ token: LoadToken, settlingUntil: WallTime = .never) -> Lease {
        Lease(token: token, until: .never, settlingUntil: settlingUntil)
    }

    /// What is to be remembered of it when it has been given back.
    var over: Lease? { settlingUntil == .never ? nil : .over(token, settlingUntil: settlingUntil) }
}
