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
            let over = Lease(token: acquisition.token, until: WallTime(microseconds: 0))
            return Write(envelope: .pending(over, stamps: acquisition.stamps), expiry: releasedExpiry)
        }
    }
}
