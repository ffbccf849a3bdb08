import MintCache
import Testing

@testable import Memcached

@Suite("A batch of keys")
struct KeyBatchTests {
    @Test("has each key once, under one index")
    func deduplicates() throws {
        var batch = KeyBatch()
        for round in 1...3 {
            batch.removeAll()
            for number in 0..<500 { #expect(batch.index(of: try StoreKey("key:\(number)")) == number) }
            for number in 0..<500 { #expect(batch.index(of: try StoreKey("key:\(number)")) == number) }
            #expect(batch.count == 500, "round \(round)")
        }
    }

    @Test("takes no more time after a large one than before")
    func shrinks() throws {
        var batch = KeyBatch()
        for number in 0..<10_000 { _ = batch.index(of: try StoreKey("key:\(number)")) }
        batch.removeAll()
        #expect(batch.count == 0)
        #expect(batch.slots.count == KeyBatch().slots.count)
    }

    @Test("tells keys apart that differ in one byte, wherever it is")
    func similarKeys() throws {
        var batch = KeyBatch()
        var keys: [StoreKey] = []
        for length in [1, 7, 8, 9, 16, 250] {
            for position in 0..<length {
                var bytes = [UInt8](repeating: 0x61, count: length)
                bytes[position] = 0x62
                keys.append(try StoreKey(bytes: bytes))
            }
        }
        #expect(keys.map { batch.index(of: $0) } == Array(keys.indices))
        for (index, key) in keys.enumerated() {
            #expect(key.bytes.withUnsafeBytes { batch.key(index, is: $0) })
        }
    }

    @Test("is cut into lines of at most so many bytes")
    func lines() throws {
        var batch = KeyBatch()
        for number in 100..<200 {
            _ = batch.index(of: try StoreKey(String(repeating: "k", count: 247) + "\(number)"))
        }
        var start = 0
        var lines: [Int] = []
        while start < batch.count {
            let line = batch.line(from: start, length: 8000)
            let bytes = batch.withLine(line) { _, lengths in
                UnsafeBufferPointer(start: lengths, count: line.count).reduce(0) { $0 + $1 + 1 }
            }
            #expect(bytes + "gets\r\n".utf8.count <= 8196)
            lines.append(line.count)
            start = line.upperBound
        }
        #expect(lines == [31, 31, 31, 7])
        batch.removeAll()
        for number in 0..<100 { _ = batch.index(of: try StoreKey("\(number)")) }
        #expect(batch.lineLength == 10 * 2 + 90 * 3)
        #expect(batch.line(from: 0, length: 22) == 0..<10)
        #expect(batch.line(from: 90, length: 300) == 90..<100)
        // A key that is too long by itself has a line of its own.
        #expect(batch.line(from: 0, length: 1) == 0..<1)
    }
}
