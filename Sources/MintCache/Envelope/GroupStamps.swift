/// A random number that names one generation of a group. Random and never counted up: a counter that was evicted
/// starts again, and with it come back the values of the generations it had before.
struct GroupStamp: RawRepresentable, Hashable, Sendable {
    let rawValue: UInt64

    static func random() -> GroupStamp { GroupStamp(rawValue: .random(in: 0 ... .max)) }
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
