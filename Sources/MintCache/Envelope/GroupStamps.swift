/// Random numbers that name one generation of a group. Random and never counted up: a counter that was evicted starts
/// again, and with it come back the values of the generations it had before.
///
/// The *hard* half changes when the group is invalidated: values under another one are invalid. The *soft* half changes
/// when it is expired: values under another one are stale.
///
/// 47 bits of the hard half are random. The upper 16 are of the group's key, and the lowest says whether an invalidation
/// wrote the stamp or a read that found none. The protocol compares whole halves only; these bits are for saying why a
/// value is a miss.
struct GroupStamp: Hashable, Sendable {
    var hard: UInt64
    var soft: UInt32 = 0

    /// A new stamp.
    ///
    /// - Parameter isPlanted: whether it is for a group that has none, and not for an invalidation.
    static func random(for group: StoreKey, isPlanted: Bool) -> GroupStamp {
        let label = group.bytes.withUnsafeBytes { WyHash.hash($0, seed: 0) } << 48
        return GroupStamp(hard: label | UInt64.random(in: 0..<1 << 47) << 1 | (isPlanted ? 1 : 0))
    }

    var isPlanted: Bool { hard & 1 == 1 }

    /// Whether two stamps are of one group, as far as their bits tell.
    func isOfSameGroup(as other: GroupStamp) -> Bool { hard >> 48 == other.hard >> 48 }
}

/// What stands under a generation key.
struct Generation: Equatable, Sendable {
    var stamp: GroupStamp
    /// When it was expired last; what is older is stale since then.
    var expiredAt = WallTime.never
    /// Until when the values of loads that begin are settling.
    var settlingUntil = WallTime.never
}

/// The stamps of a value's groups, in the order of the groups. No stamp and one, which most values have, take no
/// allocation.
struct GroupStamps: RandomAccessCollection, Equatable, Sendable, ExpressibleByArrayLiteral {
    private var first = GroupStamp(hard: 0)
    private var others: [GroupStamp] = []
    private(set) var endIndex = 0

    var startIndex: Int { 0 }

    init() {}

    init(_ stamps: some Sequence<GroupStamp>) {
        for stamp in stamps { append(stamp) }
    }

    init(arrayLiteral stamps: GroupStamp...) { self.init(stamps) }

    subscript(index: Int) -> GroupStamp {
        precondition(indices.contains(index))
        return index == 0 ? first : others[index - 1]
    }

    mutating func append(_ stamp: GroupStamp) {
        if isEmpty { first = stamp } else { others.append(stamp) }
        endIndex += 1
    }

    /// Whether nothing was invalidated between the two, whatever was expired.
    func areOfSameGenerations(as other: GroupStamps) -> Bool {
        endIndex == other.endIndex && zip(self, other).allSatisfy { $0.hard == $1.hard }
    }
}
