import Testing

@testable import MintCache

@Suite("A fill")
struct FillTests {
    private let now = WallTime(microseconds: 1_000_000_000)
    private let token = LoadToken(rawValue: 7)
    private let stamps: GroupStamps = [GroupStamp(rawValue: 1)]
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
        .value(payload, ttl: .seconds(60), staleFor: .seconds(30), took: .milliseconds(3))
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
        for outcome in [value, .nothing, .failure] {
            #expect(Fill.write(outcome, under: acquisition, over: current, at: now) == nil)
        }
    }

    @Test("of a load that failed gives the lease back and keeps a value that was there")
    func failure() {
        let over = Fill.write(.failure, under: acquisition, over: .value(record(claim: lease)), at: now)
        #expect(over == Fill.Write(envelope: .value(record(claim: nil)), expiry: acquisition.expiry))
        let pending = Fill.write(.failure, under: acquisition, over: .pending(lease, stamps: stamps), at: now)
        #expect(pending?.envelope.lease.map { $0.until < now } == true)
    }

    @Test("of a load with nothing to cache removes a value that was there")
    func nothing() {
        let write = Fill.write(.nothing, under: acquisition, over: .value(record(claim: lease)), at: now)
        guard case .pending(let lease, _) = write?.envelope else { return #expect(Bool(false), "the value stayed") }
        #expect(lease.until < now)
    }
}
