import MintCache
import Testing

@testable import Memcached

@Suite("A batch of keys")
struct KeyBatchTests {
    @Test("has each key once, under one index")
    func deduplicates() throws {
        var batch = KeyBatch()
        for round in 1...3 {
            batch.reset(forKeys: 1000)
            for number in 0..<500 { #expect(batch.index(of: try StoreKey("key:\(number)")) == number) }
            for number in 0..<500 { #expect(batch.index(of: try StoreKey("key:\(number)")) == number) }
            #expect(batch.count == 500, "round \(round)")
        }
    }

    @Test("is cut into lines of at most so many keys and under 8 KB")
    func lines() throws {
        var batch = KeyBatch()
        batch.reset(forKeys: 100)
        for number in 100..<200 {
            _ = batch.index(of: try StoreKey(String(repeating: "k", count: 247) + "\(number)"))
        }
        var start = 0
        var lines: [Int] = []
        while start < batch.count {
            let line = batch.line(from: start, maximumKeys: 100)
            let bytes = line.reduce(0) { $0 + batch[$1].count + 1 }
            #expect(bytes + "gets\r\n".utf8.count <= 8196)
            lines.append(line.count)
            start = line.upperBound
        }
        #expect(lines == [31, 31, 31, 7])
        batch.reset(forKeys: 100)
        for number in 0..<100 { _ = batch.index(of: try StoreKey("\(number)")) }
        #expect(batch.line(from: 0, maximumKeys: 40) == 0..<40)
        #expect(batch.line(from: 80, maximumKeys: 40) == 80..<100)
    }
}
