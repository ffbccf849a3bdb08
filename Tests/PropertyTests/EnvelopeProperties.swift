@testable import MintCache

extension Property {
    private static let valueKey = StoreKey(trusted: Array("shop:7:City.get(\"paris\")".utf8))
    private static let groupKey = StoreKey(trusted: Array("shop:@cities".utf8))

    /// Bytes are an envelope or are not; what is one is of one key and the same when it is written and read, and whatever its
    /// times are, the protocol decides about it. The first byte says whether the checksum is made to fit, and the rest of the first 17 what the
    /// clock says and under which stamp it is read.
    static let envelope = Property(name: "envelope") { bytes in
        var choices = Choices(bytes)
        let isMended = choices.byte() & 1 == 1
        let moment = ReadMachine.Moment(wall: WallTime(microseconds: choices.integer()), elapsed: .seconds(1))
        let stamp = GroupStamp(hard: choices.integer())
        var envelopeBytes = choices.rest()
        if isMended { EnvelopeCoding.mendChecksum(of: &envelopeBytes, for: valueKey) }
        let envelope = EnvelopeCoding.envelope(in: envelopeBytes[...], for: valueKey)
        decide(about: envelope, under: GroupReading(stamps: [stamp]), at: moment)
        if case .value(let record) = envelope {
            let own = record.terms?.groups.map { Generation(stamp: $0.stamp) }
            decide(about: envelope, under: GroupReading(stamps: record.stamps, own: own), at: moment)
        }
        guard let envelope else { return nil }
        if EnvelopeCoding.envelope(in: envelopeBytes[...], for: groupKey) != nil { return "it is another key's too" }
        if case .later = envelope { return nil }
        let again = EnvelopeCoding.encode(envelope, for: valueKey)
        if EnvelopeCoding.envelope(in: again[...], for: valueKey) != envelope { return "it is written as \(again)" }
        return again.count <= envelopeBytes.count ? nil : "it is written as \(again), which is more"
    }

    /// What every caller of the protocol may ask about it.
    private static func decide(about envelope: Envelope?, under groups: GroupReading, at now: ReadMachine.Moment) {
        for goal in [ReadMachine.Goal.value, .refresh] {
            var machine = ReadMachine(
                policy: CachePolicy(staleFor: .seconds(1 << 40), staleIfError: .init(for: .seconds(1 << 40))),
                goal: goal,
                since: .zero)
            let item = StoreItem.CAS(rawValue: 1).map { ReadMachine.ValueItem(cas: $0, envelope: envelope) }
            let read = ReadMachine.Read(item: item, groups: .stamps(groups))
            for _ in 0..<3 { _ = machine.fetched(read, at: now) }
            _ = read.isSettling(at: now.wall)
            _ = read.withGarbage(.foreignBytes).missReason
        }
    }

    /// Bytes are a generation or are not; what is one is of one key and the same when it is written and read, and no envelope.
    static let generation = Property(name: "generation") { bytes in
        var choices = Choices(bytes)
        let isMended = choices.byte() & 1 == 1
        var generationBytes = choices.rest()
        if isMended { EnvelopeCoding.mendChecksum(of: &generationBytes, for: groupKey) }
        guard let generation = EnvelopeCoding.generation(in: generationBytes[...], for: groupKey) else { return nil }
        if EnvelopeCoding.generation(in: generationBytes[...], for: valueKey) != nil {
            return "it is another key's too"
        }
        if EnvelopeCoding.envelope(in: generationBytes[...], for: groupKey) != nil { return "it is an envelope too" }
        let again = EnvelopeCoding.encode(generation, for: groupKey)
        if EnvelopeCoding.generation(in: again[...], for: groupKey) != generation { return "it is written as \(again)" }
        return again.count <= generationBytes.count ? nil : "it is written as \(again), which is more"
    }
}

extension EnvelopeCoding {
    /// Makes the checksum fit, where there is one.
    fileprivate static func mendChecksum(of bytes: inout [UInt8], for key: StoreKey) {
        guard bytes.count > 8 else { return }
        let checksum = bytes.withUnsafeBytes { Self.checksum(of: $0, for: key) }
        withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange(4..<8, with: $0) }
    }
}
