/// The end of a load: what to write over the register that carries its token. No I/O.
enum Fill {
    /// How a load ended.
    enum Outcome: Equatable {
        /// It has a value to be cached.
        case value(Payload, ttl: Duration, staleFor: Duration, took: Duration)
        /// It succeeded with nothing that can be cached: what was cached before is outdated.
        case nothing
        /// It failed: a value that was cached before may go on being served.
        case failure
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
        guard let current, current.lease?.token == acquisition.token || PlantedMistake.fillWithoutToken.isPlanted
        else { return nil }
        switch (outcome, current) {
        case (.value(let payload, let ttl, let staleFor, let took), _):
            let ttl = min(ttl, .longestLifetime)
            let record = CachedRecord(
                identity: acquisition.token, createdAt: now, freshUntil: now + ttl,
                loadMicroseconds: UInt32(clamping: took.wholeMicroseconds), claim: nil, stamps: acquisition.stamps,
                payload: payload)
            return Write(envelope: .value(record), expiry: ttl + staleFor)
        case (.failure, .value(var record)):
            record.claim = nil
            return Write(envelope: .value(record), expiry: acquisition.expiry)
        case (.nothing, _), (.failure, .pending):
            return Write(
                envelope: .pending(.over(acquisition.token), stamps: acquisition.stamps),
                expiry: acquisition.releasedExpiry)
        }
    }

    /// The write that prolongs the lease; `nil` when the register no longer carries the load's token.
    static func prolongation(
        of acquisition: Acquisition, over current: Envelope?, by duration: Duration
    ) -> Write? {
        guard let lease = current?.lease,
            lease.token == acquisition.token || PlantedMistake.prolongWhateverStands.isPlanted
        else { return nil }
        let longer = Lease(token: acquisition.token, until: lease.until + duration)
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
        let lease = record.claim ?? .over(record.identity)
        return Write(envelope: .pending(lease, stamps: record.stamps), expiry: expiry)
    }
}

extension Lease {
    /// A lease that was given back: nobody waits for it.
    static func over(_ token: LoadToken) -> Lease { Lease(token: token, until: WallTime(microseconds: 0)) }
}
