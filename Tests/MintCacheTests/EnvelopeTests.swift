import TestSupport
import Testing

@testable import MintCache

@Suite("An envelope")
struct EnvelopeTests {
    private let key = StoreKey(trusted: Array("shop:7:f()".utf8))

    private func record(
        isSettling: Bool = false, list: UInt32 = 0, claim: Lease? = nil, stamps: Int = 0, payload: [UInt8] = [1, 2, 3]
    ) -> CachedRecord {
        CachedRecord(
            identity: LoadToken(rawValue: 0x1122_3344_5566_7788), createdAt: WallTime(microseconds: 5),
            freshUntil: WallTime(microseconds: -6), loadMicroseconds: 7, isSettling: isSettling, list: list,
            claim: claim, stamps: GroupStamps((0..<stamps).map { GroupStamp(hard: UInt64($0) + 9, soft: UInt32($0)) }),
            payload: Payload(tag: 0xDEAD_BEEF, bytes: payload[...]))
    }

    private var samples: [Envelope] {
        let lease = Lease(token: LoadToken(rawValue: .max), until: WallTime(microseconds: .max))
        var expired = Lease(
            token: LoadToken(rawValue: 3), until: WallTime(microseconds: 4), settlingUntil: WallTime(microseconds: 5))
        expired.isExpired = true
        var stale = record()
        stale.isExpired = true
        let group = OwnGroup(key: StoreKey(trusted: Array("shop:@a".utf8)), stamp: GroupStamp(hard: 8, soft: 9))
        var (grouped, lasting) = (record(list: 1, claim: lease, stamps: 2), record())
        grouped.terms = ValueTerms(staleFor: nil, groups: [group, group])
        lasting.terms = ValueTerms(staleFor: .seconds(5), groups: [])
        return [
            .value(grouped), .value(lasting),
            .mark(settlingUntil: WallTime(microseconds: 77)), .pending(expired, stamps: [GroupStamp(hard: 1, soft: 2)]),
            .value(record(isSettling: true, list: .max, claim: expired, stamps: 2)), .value(record(list: 1)),
            .value(stale),
            .value(record()), .value(record(payload: [])), .value(record(claim: lease)), .value(record(stamps: 3)),
            .value(record(claim: lease, stamps: 255)), .pending(lease, stamps: []),
            .pending(lease, stamps: [GroupStamp(hard: 1), GroupStamp(hard: 2)]),
        ]
    }

    private func decoded(in bytes: [UInt8], for key: StoreKey) -> Envelope? {
        EnvelopeCoding.envelope(in: amongOthers(bytes), for: key)
    }

    private func decodedGeneration(in bytes: [UInt8], for key: StoreKey) -> Generation? {
        EnvelopeCoding.generation(in: amongOthers(bytes), for: key)
    }

    private let generation = Generation(
        stamp: GroupStamp(hard: 0x0102_0304_0506_0708, soft: 9), expiredAt: WallTime(microseconds: 10),
        settlingUntil: WallTime(microseconds: 11))

    /// The bytes as they were read, with those of other keys before and after them.
    private func amongOthers(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        ([0xCA, 1, 1] + bytes + [0xCA])[3..<3 + bytes.count]
    }

    @Test("is read as it was written")
    func roundTrip() {
        for envelope in samples {
            let bytes = EnvelopeCoding.encode(envelope, for: key)
            #expect(decoded(in: bytes, for: key) == envelope)
        }
    }

    @Test("costs 40 bytes, 12 for each group, 24 for a claim and 4 for the number of a list")
    func overhead() {
        let lease = Lease(token: LoadToken(rawValue: 1), until: WallTime(microseconds: 1))
        let size = { (envelope: Envelope) in EnvelopeCoding.encode(envelope, for: key).count }
        #expect(size(.value(record(payload: []))) == 40)
        #expect(size(.value(record(payload: Array(repeating: 0, count: 100)))) == 140)
        #expect(size(.value(record(stamps: 3, payload: []))) == 76)
        #expect(size(.value(record(list: 1, payload: []))) == 44)
        #expect(size(.value(record(claim: lease, payload: []))) == 64)
        #expect(size(.pending(lease, stamps: [])) == 32)
        #expect(size(.mark(settlingUntil: .never)) == 16)
    }

    @Test("has the bytes that are documented")
    func documentedBytes() {
        var claim = Lease(
            token: LoadToken(rawValue: 0xAA), until: WallTime(microseconds: 0xBB),
            settlingUntil: WallTime(microseconds: 0xCC))
        claim.isExpired = true
        let record = record(isSettling: true, list: 0xDD, claim: claim, stamps: 1)
        let bytes = EnvelopeCoding.encode(.value(record), for: key)
        let expected: [UInt8] =
            [0xCA, 2, 0xF1, 1] + Array(bytes[4..<8])
            + [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]
            + [5, 0, 0, 0, 0, 0, 0, 0] + [0xFA, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
            + [7, 0, 0, 0] + [0xEF, 0xBE, 0xAD, 0xDE]
            + [0xAA, 0, 0, 0, 0, 0, 0, 0] + [0xBB, 0, 0, 0, 0, 0, 0, 0]
            + [0xCC, 0, 0, 0, 0, 0, 0, 0] + [0xDD, 0, 0, 0]
            + [9, 0, 0, 0, 0, 0, 0, 0] + [0, 0, 0, 0] + [1, 2, 3]
        #expect(bytes == expected)
        #expect(bytes == bytes.withChecksum(for: key))
    }

    @Test("is none when cut short at any byte, and when anything follows a pending one")
    func truncation() {
        for envelope in samples {
            let bytes = EnvelopeCoding.encode(envelope, for: key)
            for length in 0..<bytes.count {
                #expect(decoded(in: Array(bytes[..<length]), for: key) == nil)
            }
            if case .value = envelope { continue }
            #expect(decoded(in: (bytes + [0]).withChecksum(for: key), for: key) == nil)
        }
    }

    @Test("is none when any bit is flipped")
    func corruption() {
        for envelope in samples {
            let bytes = EnvelopeCoding.encode(envelope, for: key)
            for bit in 0..<min(bytes.count * 8, 1000) {
                var damaged = bytes
                damaged[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(decoded(in: damaged, for: key) == nil, "bit \(bit)")
                #expect(decodedGeneration(in: damaged, for: key) == nil)
            }
        }
    }

    @Test("is none under another key, so that swapped values are misses")
    func otherKey() throws {
        let other = try StoreKey("shop:7:g()")
        for envelope in samples {
            let bytes = EnvelopeCoding.encode(envelope, for: key)
            #expect(decoded(in: bytes, for: other) == nil)
        }
        #expect(decodedGeneration(in: EnvelopeCoding.encode(generation, for: key), for: other) == nil)
    }

    @Test("is none when it is of an earlier version or another kind, even with a checksum that fits")
    func otherFormats() {
        for (offset, value) in [(0, UInt8(0xCB)), (1, 1), (1, 0), (2, 2), (2, 4), (2, 0x07), (2, 0x11)] {
            var bytes = EnvelopeCoding.encode(.value(record()), for: key)
            bytes[offset] = value
            bytes = bytes.withChecksum(for: key)
            #expect(decoded(in: bytes, for: key) == nil)
        }
    }

    @Test("of a later version is told apart from garbage, and its lease can be read")
    func laterVersion() {
        let lease = Lease(token: LoadToken(rawValue: 5), until: WallTime(microseconds: 6))
        for (envelope, expected) in [
            (.pending(lease, stamps: []), lease), (.value(record(claim: lease, stamps: 2)), lease),
            (.value(record()), nil), (.mark(settlingUntil: .never), nil),
        ] as [(Envelope, Lease?)] {
            for version in [3, 4, 255] as [UInt8] {
                var bytes = EnvelopeCoding.encode(envelope, for: key)
                bytes[1] = version
                #expect(decoded(in: bytes, for: key) == nil)
                // Whatever else it has.
                bytes = (bytes + [1, 2, 3]).withChecksum(for: key)
                #expect(decoded(in: bytes, for: key) == .later(expected))
                #expect(decodedGeneration(in: bytes, for: key) == nil)
            }
        }
    }

    @Test("is read out of hostile bytes only when they are one, and never out of bounds", arguments: UInt64(1)...8)
    func hostileHeaders(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var (envelopes, stamps) = (0, 0)
        for round in 0..<5_000 {
            let isGeneration = round.isMultiple(of: 10)
            let length =
                isGeneration
                ? [20, 28, 36].randomElement(using: &random) ?? 0
                : Int.random(in: 0...20, using: &random) * 4 + (Bool.random(using: &random) ? 0 : round % 4)
            var bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            if bytes.count >= 8, !round.isMultiple(of: 4) {
                let kinds: [UInt8] = [0, 1, 2, 3, 0x09, 0x10, 0x20, 0x41, 0x81, 0x91, 0xA1, 0xF1, 0x82, 0x83]
                let kind = (isGeneration ? [2, 0x12, 0x42, 0x52] : kinds).randomElement(using: &random) ?? 0
                bytes.replaceSubrange(0..<3, with: [0xCA, round.isMultiple(of: 16) ? 3 : 2, kind])
                if isGeneration {
                    bytes[3] = 0
                } else if Bool.random(using: &random) {
                    bytes[3] = UInt8.random(in: 0...2, using: &random)
                }
                bytes = bytes.withChecksum(for: key)
            }
            // Whatever is read is all of the bytes, and is written as they are.
            if let envelope = decoded(in: bytes, for: key) {
                envelopes += 1
                if case .later = envelope { continue }
                #expect(EnvelopeCoding.encode(envelope, for: key) == bytes, "seed \(seed), round \(round)")
            }
            if let generation = decodedGeneration(in: bytes, for: key) {
                stamps += 1
                #expect(EnvelopeCoding.encode(generation, for: key) == bytes, "seed \(seed), round \(round)")
                #expect(decoded(in: bytes, for: key) == nil)
            }
        }
        #expect(envelopes > 100, "\(envelopes) of the bytes were an envelope")
        #expect(stamps > 0, "none of the bytes was a stamp")
    }

    @Test("of a group and of a value are not taken for each other")
    func generations() {
        let bytes = EnvelopeCoding.encode(generation, for: key)
        #expect(bytes.count == 36)
        #expect(EnvelopeCoding.encode(Generation(stamp: generation.stamp), for: key).count == 20)
        #expect(decodedGeneration(in: bytes, for: key) == generation)
        #expect(decoded(in: bytes, for: key) == nil)
        for envelope in samples {
            #expect(decodedGeneration(in: EnvelopeCoding.encode(envelope, for: key), for: key) == nil)
        }
    }

    @Test("of a group is the one that is documented")
    func documentedExample() throws {
        let key = try StoreKey("shop:@cities")
        let bytes = EnvelopeCoding.encode(Generation(stamp: GroupStamp(hard: 0x0102_0304_0506_0708)), for: key)
        #expect(
            bytes == [0xCA, 2, 2, 0, 0xF0, 0x73, 0xC0, 0x84, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0])
    }

    @Test("is checked by the wyhash of its author")
    func wyHash() {
        // Of the author's own test program.
        let vectors: [(String, UInt64)] = [
            ("", 0x9322_8A4D_E0EE_C5A2), ("a", 0xC5BA_C3DB_1787_13C4), ("abc", 0xA97F_2F7B_1D9B_3314),
            ("message digest", 0x786D_1F1D_F380_1DF4), ("abcdefghijklmnopqrstuvwxyz", 0xDCA5_A813_8AD3_7C87),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 0xB9E7_34F1_17CF_AF70),
            (String(repeating: "1234567890", count: 8), 0x6CC5_EAB4_9A92_D617),
        ]
        for (seed, (text, hash)) in vectors.enumerated() {
            #expect(Array(text.utf8).withUnsafeBytes { WyHash.hash($0, seed: UInt64(seed)) } == hash)
        }
        // Of all lengths to 300, as the author's code has them.
        var sum: UInt64 = 0
        for count in 0...300 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 37 + 11) }
            sum = sum &* 31 &+ bytes.withUnsafeBytes { WyHash.hash($0, seed: UInt64(count)) }
        }
        #expect(sum == 0xF3C8_3AEE_2EE2_C803)
    }
}

extension [UInt8] {
    /// These bytes with the checksum that is documented.
    func withChecksum(for key: StoreKey) -> [UInt8] {
        let head = withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) }
        let body = self[8...].withUnsafeBytes { WyHash.hash($0, seed: UInt64(head)) }
        let checksum = UInt32(truncatingIfNeeded: body ^ key.bytes.withUnsafeBytes { WyHash.hash($0, seed: 0) })
        return self[..<4] + Swift.withUnsafeBytes(of: checksum.littleEndian) { Array($0) } + self[8...]
    }
}
