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
            var place = index[split]
            index[split] = HashIndex.none
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

    @Test("finds every item in its bucket at each size, and none of more buckets than there are items")
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
    }
}
