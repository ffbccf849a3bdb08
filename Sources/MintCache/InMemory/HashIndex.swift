/// The heads of the chains in which items are found by their hashes: linear hashing (Litwin, *Linear hashing: a new tool
/// for file and table addressing*, VLDB 1980). It grows and shrinks by one bucket at a time, so no operation moves all
/// items.
struct HashIndex {
    /// No item.
    static let none = UInt32.max

    private var heads = SegmentedArray<UInt32>()
    /// A power of two; there are up to twice as many buckets.
    private var level: UInt32 = 1

    init() { heads.append(Self.none) }

    /// How many buckets there are.
    var bucketCount: UInt32 { heads.endIndex }

    /// The bucket of a hash.
    func bucket(of hash: UInt32) -> UInt32 {
        let bucket = hash & (level * 2 - 1)
        return bucket < heads.endIndex ? bucket : hash & (level - 1)
    }

    /// The first item of a bucket.
    subscript(bucket: UInt32) -> UInt32 {
        get { heads[bucket] }
        set { heads[bucket] = newValue }
    }

    /// Adds a bucket, and returns the one whose items are to be dealt out anew, to itself and the new one.
    mutating func grow() -> UInt32 {
        if heads.endIndex == level * 2 { level *= 2 }
        let split = heads.endIndex - level
        heads.append(Self.none)
        return split
    }

    /// Takes the last bucket away, and returns its first item: all of its items are to be dealt out anew.
    ///
    /// - Precondition: there is more than one.
    mutating func shrink() -> UInt32 {
        if heads.endIndex == level { level /= 2 }
        return heads.removeLast()
    }
}
