/// The hashes of the keys that were evicted last.
///
/// It is four-way set associative, and remembers 32 bits of a hash and when that was: a few are forgotten early where a set
/// is full, and all of them when the table grows or shrinks.
struct GhostTable {
    private struct Ghost {
        var label: UInt32 = 0
        /// 0 for none.
        var turn: UInt32 = 0
    }

    private static let ways = 4
    private static let fewest = 64

    private var ghosts: [Ghost] = []
    /// How many have been evicted.
    private var turn: UInt32 = 0
    private var most: UInt32 = 0

    /// How many hashes there is room for.
    var room: Int { ghosts.count }

    /// Remembers a hash.
    ///
    /// - Parameter most: how many are to be remembered.
    mutating func insert(_ hash: Int, most: Int) {
        let needed = max(Self.fewest, most + most / 3)
        if ghosts.count < needed || ghosts.count / 8 > needed {
            ghosts = Array(repeating: Ghost(), count: 1 << (Int.bitWidth - (needed - 1).leadingZeroBitCount))
        }
        self.most = UInt32(clamping: most)
        turn = turn == .max ? 1 : turn + 1
        let (label, set) = place(of: hash)
        let slot = set.first { ghosts[$0].label == label } ?? set.max { age(ghosts[$0]) < age(ghosts[$1]) }
        if let slot { ghosts[slot] = Ghost(label: label, turn: turn) }
    }

    /// Forgets a hash, and says whether it was remembered.
    mutating func remove(_ hash: Int) -> Bool {
        guard !ghosts.isEmpty else { return false }
        let (label, set) = place(of: hash)
        guard let slot = set.first(where: { ghosts[$0].label == label && age(ghosts[$0]) < most }) else { return false }
        ghosts[slot].turn = 0
        return true
    }

    private func age(_ ghost: Ghost) -> UInt32 { ghost.turn == 0 ? .max : turn &- ghost.turn }

    private func place(of hash: Int) -> (label: UInt32, set: Range<Int>) {
        let mixed = UInt64(truncatingIfNeeded: hash) &* 0x9E37_79B9_7F4A_7C15
        let first = Int(mixed >> 32) & (ghosts.count / Self.ways - 1)
        return (UInt32(truncatingIfNeeded: mixed), first * Self.ways..<(first + 1) * Self.ways)
    }
}
