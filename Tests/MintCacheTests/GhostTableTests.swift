import Testing

@testable import MintCache

@Suite("The hashes of what was evicted")
struct GhostTableTests {
    @Test("are remembered up to a number, the last ones, each once")
    func remembers() {
        var ghosts = GhostTable()
        for hash in 1...10 { ghosts.insert(hash, most: 4) }
        var remembered: [Int] = []
        for hash in 1...10 where ghosts.remove(hash) { remembered.append(hash) }
        #expect(remembered == [7, 8, 9, 10])
        let isRemembered = ghosts.remove(10)
        #expect(!isRemembered)
    }

    @Test("are remembered but for a tenth where their sets are full")
    func sets() {
        var ghosts = GhostTable()
        for hash in 0..<30_000 { ghosts.insert(hash, most: 3000) }
        var count = 0
        for hash in 0..<30_000 where ghosts.remove(hash) {
            #expect(hash >= 27_000)
            count += 1
        }
        #expect(count > 2700 && count <= 3000)
    }

    @Test("take no more room than their number allows, however often the same ones come back")
    func bounded() {
        var ghosts = GhostTable()
        for round in 0..<100_000 {
            ghosts.insert(round % 30, most: 100)
            if round.isMultiple(of: 3) { _ = ghosts.remove((round + 7) % 30) }
        }
        #expect(ghosts.room == 256)
    }
}
