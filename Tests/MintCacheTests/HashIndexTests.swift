import Testing

@testable import MintCache

@Suite("The index of the in-memory store")
struct HashIndexTests {
    /// The index with its chains, as the store has them.
    private struct Table {
        var index = HashIndex()
        var hashes = SegmentedArray<UInt32>()
        var next = SegmentedArray<UInt32>()

        mutating func add(_ hash: UInt32) {
            hashes.append(hash)
            next.append(HashIndex.none)
            link(hashes.endIndex - 1)
            guard hashes.endIndex > index.bucketCount else { return }
            let split = index.grow()
            let first = index[split]
            index[split] = HashIndex.none
            deal(first)
        }

        mutating func shrink() { deal(index.shrink()) }

        private mutating func deal(_ first: UInt32) {
            var place = first
            while place != HashIndex.none {
                let rest = next[place]
                link(place)
                place = rest
            }
        }

        private mutating func link(_ place: UInt32) {
            let bucket = index.bucket(of: hashes[place])
            next[place] = index[bucket]
            index[bucket] = place
        }

        /// How many of the chain of a hash have it.
        func count(of hash: UInt32) -> Int {
            var (place, count) = (index[index.bucket(of: hash)], 0)
            while place != HashIndex.none {
                if hashes[place] == hash { count += 1 }
                place = next[place]
            }
            return count
        }
    }

    @Test(
        "finds every item in its bucket at each size on the way up and down, and none of more buckets than there are items"
    )
    func growing() {
        var table = Table()
        var missing = 0
        for number in 0..<UInt32(3000) {
            table.add(number &* 2_654_435_761)
            // All of them at some sizes, the powers of two and what is beside them among these.
            guard number < 70 || number.isMultiple(of: 97) || (1022...1026).contains(number) else { continue }
            for earlier in 0...number where table.count(of: earlier &* 2_654_435_761) != 1 { missing += 1 }
        }
        #expect(missing == 0)
        #expect(table.index.bucketCount == 3000)
        // And back, with all of them in fewer and fewer buckets.
        while table.index.bucketCount > 1 {
            table.shrink()
            let count = table.index.bucketCount
            guard count < 20 || count.isMultiple(of: 397) || (1022...1026).contains(count) else { continue }
            for number in 0..<UInt32(3000) where table.count(of: number &* 2_654_435_761) != 1 { missing += 1 }
        }
        #expect(missing == 0)
        table.add(7)
        #expect(table.index.bucketCount == 2 && table.count(of: 7) == 1)
    }
}
