/// What the load of a value has said of it, where that is not as its function's options say.
///
/// An object, since most records have none and each hit hands its record on.
final class ValueTerms: Sendable, Equatable {
    /// How long it may be served after it was fresh; `nil` for as long as the reader's policy says.
    let staleFor: Duration?
    /// Its groups besides those of its function, and their stamps when its load began.
    let groups: [OwnGroup]

    init?(staleFor: Duration?, groups: [OwnGroup]) {
        if staleFor == nil, groups.isEmpty { return nil }
        self.staleFor = staleFor
        self.groups = groups
    }

    static func == (left: ValueTerms, right: ValueTerms) -> Bool {
        left.staleFor == right.staleFor && left.groups == right.groups
    }
}

/// A group that one value has and not its function, with the stamp that it had before the load of the value began.
struct OwnGroup: Equatable, Sendable {
    var key: StoreKey
    var stamp: GroupStamp
}

extension EnvelopeCoding {
    /// How many groups of its own a value can have.
    static let maximumOwnGroups = 255

    /// The size of terms in an envelope.
    static func size(of terms: ValueTerms?) -> Int {
        guard let terms else { return 0 }
        return terms.groups.reduce(9) { $0 + 1 + $1.key.bytes.count + stampSize }
    }
}

extension ByteWriter {
    /// For how long it may be stale, -1 where that is not said; the number of groups; of each its stamp, the length of its
    /// key and the key.
    mutating func write(_ terms: ValueTerms) {
        write(terms.staleFor.map(\.wholeMicroseconds) ?? -1)
        write(UInt8(terms.groups.count))
        for group in terms.groups {
            write(group.stamp.hard)
            write(group.stamp.soft)
            write(UInt8(group.key.bytes.count))
            write(group.key.bytes[...])
        }
    }
}

extension ByteReader {
    /// The terms; `nil` when the bytes end before they do, or are none.
    mutating func terms() -> ValueTerms? {
        guard remaining >= 9 else { return nil }
        let microseconds: Int64 = read()
        let count: UInt8 = read()
        var groups: [OwnGroup] = []
        for _ in 0..<count {
            guard remaining >= EnvelopeCoding.stampSize + 1 else { return nil }
            let stamp = GroupStamp(hard: read(), soft: read())
            let length: UInt8 = read()
            guard remaining >= Int(length), let key = try? StoreKey(bytes: bytes(Int(length))) else { return nil }
            groups.append(OwnGroup(key: key, stamp: stamp))
        }
        let staleFor = microseconds < 0 ? nil : min(Duration.microseconds(microseconds), .longestLifetime)
        return ValueTerms(staleFor: staleFor, groups: groups)
    }
}

extension CachedRecord {
    /// The groups of its own, under the stamps that were read.
    func ownGroups(under reading: GroupReading) -> [OwnGroup] {
        zip(terms?.groups ?? [], reading.own ?? []).map { OwnGroup(key: $0.key, stamp: $1.stamp) }
    }
}
