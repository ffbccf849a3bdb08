import Testing

@testable import MintCache

@Suite("A fill")
struct FillTests {
    private let now = WallTime(microseconds: 1_000_000_000)
    private let token = LoadToken(rawValue: 7)
    private let stamps: GroupStamps = [GroupStamp(hard: 1)]
    private let payload = Payload(tag: 1, bytes: [1])

    private var lease: Lease { Lease(token: token, until: now + .seconds(5)) }

    private var acquisition: Acquisition {
        Acquisition(
            token: token, stamps: stamps, over: nil, envelope: .pending(lease, stamps: stamps), expiry: .seconds(9))
    }

    private func record(claim: Lease?) -> CachedRecord {
        CachedRecord(
            identity: LoadToken(rawValue: 1), createdAt: now, freshUntil: now, loadMicroseconds: 0, claim: claim,
            stamps: stamps, payload: Payload(tag: 1, bytes: [9]))
    }

    private var value: Fill.Outcome {
        .value(loaded())
    }

    private func loaded(isSettling: Bool = false, ttl: Duration = .seconds(60)) -> Fill.Loaded {
        Fill.Loaded(
            payload: payload, ttl: ttl, keptFor: .seconds(30), took: .milliseconds(3), isSettling: isSettling)
    }

    @Test("replaces what carries its token, with the stamps from before the load")
    func fills() {
        let expected = CachedRecord(
            identity: token, createdAt: now, freshUntil: now + .seconds(60), loadMicroseconds: 3000, claim: nil,
            stamps: stamps, payload: payload)
        for current in [Envelope.pending(lease, stamps: []), .value(record(claim: lease))] {
            let write = Fill.write(value, under: acquisition, over: current, at: now)
            #expect(write == Fill.Write(envelope: .value(expected), expiry: .seconds(90)))
        }
    }

    @Test("of a load that failed has the fleet pause; a refresh that removes the value leaves nobody waiting for that")
    func pause() throws {
        let outcome = Fill.Outcome.failure(pausedUntil: now + .seconds(3))
        let write = Fill.write(outcome, under: acquisition, over: .value(record(claim: lease)), at: now)
        guard case .value(let paused)? = write?.envelope else { throw CacheError(.storeFailure, "no value") }
        #expect(paused.isPaused(at: now + .seconds(2)) && !paused.isPaused(at: now + .seconds(3)))
        #expect(Envelope.value(paused).lease?.until == .never)
        let removal = Fill.removal(of: paused.identity, from: .value(paused), expiry: .seconds(9))
        #expect(removal?.envelope.lease?.until == .never)
    }

    @Test("is dropped when its token no longer stands there", arguments: [0, 1, 2, 3, 4])
    func dropped(state: Int) {
        let other = Lease(token: LoadToken(rawValue: 8), until: now + .seconds(5))
        let current: Envelope? =
            switch state {
            case 0: nil
            case 1: .pending(other, stamps: stamps)
            case 2: .value(record(claim: other))
            case 3: .value(record(claim: nil))
            // The identity of a value is the token of the load that filled it, but no lease on it.
            default:
                .value(
                    CachedRecord(
                        identity: token, createdAt: now, freshUntil: now, loadMicroseconds: 0, claim: nil,
                        stamps: stamps,
                        payload: payload))
            }
        for outcome in [value, .nothing, .failure()] {
            #expect(Fill.write(outcome, under: acquisition, over: current, at: now) == nil)
        }
    }

    @Test("of a load that failed gives the lease back and keeps a value that was there")
    func failure() {
        let over = Fill.write(.failure(), under: acquisition, over: .value(record(claim: lease)), at: now)
        #expect(over == Fill.Write(envelope: .value(record(claim: nil)), expiry: acquisition.expiry))
        let pending = Fill.write(.failure(), under: acquisition, over: .pending(lease, stamps: stamps), at: now)
        #expect(pending?.envelope.lease.map { $0.until < now } == true)
    }

    @Test("of a load with nothing to cache removes a value that was there")
    func nothing() {
        let write = Fill.write(.nothing, under: acquisition, over: .value(record(claim: lease)), at: now)
        guard case .pending(let lease, _) = write?.envelope else { return #expect(Bool(false), "the value stayed") }
        #expect(lease.until < now)
    }

    // MARK: Windows

    private func settling(for window: Duration) -> Acquisition {
        var acquisition = acquisition
        acquisition.settlingUntil = now + window
        return acquisition
    }

    @Test("of what was loaded in a window is fresh to its end at most, never served stale, and remembers it")
    func settles() throws {
        for (ttl, fresh) in [(60, 2), (1, 1)] {
            let write = try #require(
                Fill.write(
                    .value(loaded(isSettling: true, ttl: .seconds(ttl))), under: settling(for: .seconds(2)),
                    over: .pending(lease, stamps: stamps), at: now))
            guard case .value(let record) = write.envelope else { return #expect(Bool(false), "no value") }
            #expect(record.freshUntil == now + .seconds(fresh) && record.isSettling)
            #expect(write.envelope.settlingUntil == now + .seconds(2))
            #expect(record.claim.map { $0.until < now } == true)
            #expect(write.expiry >= .seconds(2))
        }
    }

    @Test("of what was loaded in a window that is over stores nothing, as does one with nothing; both remember it")
    func windowIsOver() {
        for (outcome, window) in [
            (.value(loaded(isSettling: true)), Duration.zero), (.nothing, .seconds(2)), (.failure(), .seconds(2)),
        ] as [(Fill.Outcome, Duration)] {
            let write = Fill.write(
                outcome, under: settling(for: window), over: .pending(lease, stamps: stamps), at: now)
            guard case .pending(let lease, _) = write?.envelope else { return #expect(Bool(false), "no lease") }
            #expect(lease.until < now && lease.settlingUntil == now + window)
            #expect(write.map { $0.expiry >= window } == true)
        }
    }

    @Test("and a prolongation keep what the lease knows")
    func prolonging() {
        var known = Lease(token: token, until: now, settlingUntil: now + .seconds(9))
        known.isExpired = true
        var expected = known
        expected.until = now + .seconds(5)
        for current in [Envelope.pending(known, stamps: stamps), .value(record(claim: known))] {
            #expect(Fill.prolongation(of: acquisition, over: current, by: .seconds(5))?.envelope.lease == expected)
        }
    }

    // MARK: Expiring

    @Test("under a lease that was expired is stale at once, and may be served so")
    func expiredLease() throws {
        var lease = lease
        lease.isExpired = true
        let write = try #require(
            Fill.write(value, under: acquisition, over: .pending(lease, stamps: stamps), at: now))
        guard case .value(let record) = write.envelope else { return #expect(Bool(false), "no value") }
        #expect(record.freshUntil == now && record.isExpired && !record.isSettling && write.expiry == .seconds(90))
    }

    @Test("that could not be stored leaves a lease that knows that its key was expired: its load may fill it still")
    func expiredAndReleased() throws {
        var lease = lease
        lease.isExpired = true
        for outcome in [Fill.Outcome.failure(), .nothing] {
            let released = try #require(
                Fill.write(outcome, under: acquisition, over: .pending(lease, stamps: stamps), at: now)?.envelope)
            guard case .value(let record) = Fill.write(value, under: acquisition, over: released, at: now)?.envelope
            else {
                return #expect(Bool(false), "no value")
            }
            #expect(record.isExpired)
        }
    }

    @Test("expiring keeps what stands there for as long as its lease and its window run, and it may be served stale")
    func expiryLength() throws {
        let policy = CachePolicy(staleFor: .seconds(7), leaseFor: .seconds(1))
        func expiry(_ envelope: Envelope) throws -> Duration {
            try #require(Fill.expiry(of: envelope, at: now, policy)).expiry
        }
        var long = lease
        long.until = now + .seconds(600)
        #expect(try expiry(.pending(long, stamps: stamps)) >= .seconds(600))
        #expect(try expiry(.value(record(claim: long))) >= .seconds(600))
        long = Lease(token: token, until: now, settlingUntil: now + .seconds(700))
        #expect(try expiry(.pending(long, stamps: stamps)) >= .seconds(700))
        var fresh = record(claim: nil)
        fresh.freshUntil = now + .seconds(800)
        #expect(try expiry(.value(fresh)) >= .seconds(807))
    }

    @Test("expiring marks values, claims and leases, and what cannot be fresh is left alone")
    func expiry() {
        let policy = CachePolicy()
        func expired(_ envelope: Envelope?) -> Envelope? { Fill.expiry(of: envelope, at: now, policy)?.envelope }
        #expect(expired(nil) == nil && expired(.mark(settlingUntil: now)) == nil && expired(.later(lease)) == nil)
        var stale = record(claim: nil)
        stale.isExpired = true
        #expect(expired(.value(stale)) == nil)
        var marked = lease
        marked.isExpired = true
        #expect(expired(.pending(lease, stamps: stamps)) == .pending(marked, stamps: stamps))
        #expect(expired(.pending(marked, stamps: stamps)) == nil)
        var fresh = record(claim: nil)
        fresh.freshUntil = now + .seconds(9)
        #expect(expired(.value(fresh)) == .value(stale))
        // Another's clock may be behind.
        #expect(expired(.value(record(claim: nil))) == .value(stale))
        stale.claim = marked
        #expect(expired(.value(record(claim: lease))) == .value(stale))
    }
}
