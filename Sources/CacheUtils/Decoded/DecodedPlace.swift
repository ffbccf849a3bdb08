import MintCache

/// Where a decoded value is kept: a hash of its key in 48 bits, and in the other 16 one for each of its groups, by which
/// most values that are in none of some groups are told without looking at them.
struct DecodedPlace: Equatable {
    private static let keyBits: UInt64 = 48
    static let shardBits: UInt64 = 4
    /// No key's: an empty slot. A key that has it by chance has no groups, and is never found.
    static let none = DecodedPlace(bits: 0)

    private let bits: UInt64

    private init(bits: UInt64) { self.bits = bits }

    /// - Parameter mask: of the value's groups.
    init(key: StoreKey, mask: UInt64) {
        bits = Self.hash(key) & (1 << Self.keyBits - 1) | mask
    }

    /// The bits of some groups.
    static func mask(of groups: some Sequence<StoreKey>) -> UInt64 {
        groups.reduce(0) { $0 | 1 << (keyBits + hash($1) % (64 - keyBits)) }
    }

    func isOfSameKey(as other: DecodedPlace) -> Bool { (bits ^ other.bits) << (64 - Self.keyBits) == 0 }

    /// Whether one of the groups of a mask may be one of its own.
    func mayBe(in mask: UInt64) -> Bool { bits & mask != 0 }

    var shard: Int { Int(truncatingIfNeeded: bits & (1 << Self.shardBits - 1)) }
    var setNumber: Int { Int(truncatingIfNeeded: (bits & (1 << Self.keyBits - 1)) >> Self.shardBits) }

    private static func hash(_ key: StoreKey) -> UInt64 { key.bytes.withUnsafeBytes { WyHash.hash($0, seed: 0) } }
}
