/// A random number that names one generation of a group. Random and never counted up: a counter that was evicted
/// starts again, and with it come back the values of the generations it had before.
///
/// 47 of its bits are random. The upper 16 are of the group's key, and the lowest says whether an invalidation wrote
/// the stamp or a read that found none. The protocol compares whole stamps only; these bits are for saying why a value
/// is a miss.
struct GroupStamp: RawRepresentable, Hashable, Sendable {
    let rawValue: UInt64

    /// A new stamp.
    ///
    /// - Parameter isPlanted: whether it is for a group that has none, and not for an invalidation.
    static func random(for group: StoreKey, isPlanted: Bool) -> GroupStamp {
        let label = group.bytes.withUnsafeBytes { WyHash.hash($0, seed: 0) } << 48
        return GroupStamp(rawValue: label | UInt64.random(in: 0..<1 << 47) << 1 | (isPlanted ? 1 : 0))
    }

    var isPlanted: Bool { rawValue & 1 == 1 }

    /// Whether two stamps are of one group, as far as their bits tell.
    func isOfSameGroup(as other: GroupStamp) -> Bool { rawValue >> 48 == other.rawValue >> 48 }
}

/// The stamps of a value's groups, in the order of the groups. No stamp and one, which most values have, take no
/// allocation.
struct GroupStamps: RandomAccessCollection, Equatable, Sendable, ExpressibleByArrayLiteral {
    private var first = GroupStamp(rawValue: 0)
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
}
