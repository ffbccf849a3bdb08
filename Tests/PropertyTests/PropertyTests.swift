import Foundation
import TestSupport
import Testing

extension Property: CustomTestStringConvertible {
    var testDescription: String { name }
}

@Suite("What holds for any bytes", .timeLimit(.minutes(5)))
struct PropertyTests {
    private static func corpus(of property: Property) throws -> [[UInt8]] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus/\(property.name)")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return try files.map { Array(try Data(contentsOf: $0)) }
    }

    @Test("holds for the corpus of the fuzzer, and for what is near to it", arguments: Property.all)
    func corpus(property: Property) throws {
        let inputs = try Self.corpus(of: property)
        #expect(!inputs.isEmpty)
        var random = SeededGenerator(seed: 1)
        for input in inputs {
            #expect(property.flaw(input) == nil)
            for _ in 0..<2000 / inputs.count {
                let mutant = input.mutated(&random)
                #expect(property.flaw(mutant) == nil, "\(mutant)")
            }
        }
    }

    @Test("holds for random bytes", arguments: Property.all)
    func random(property: Property) {
        var random = SeededGenerator(seed: 2)
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            #expect(property.flaw(bytes) == nil, "\(bytes)")
        }
    }
}

extension [UInt8] {
    /// The same with up to four bytes changed, put in or taken out.
    fileprivate func mutated(_ random: inout SeededGenerator) -> [UInt8] {
        var bytes = self
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let place = Int.random(in: 0...bytes.count, using: &random)
            let byte = UInt8.random(in: 0...255, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes.insert(byte, at: place)
            case 1 where place < bytes.count: bytes.remove(at: place)
            case 2 where place < bytes.count: bytes[place] ^= 1 << (byte & 7)
            case _ where place < bytes.count: bytes[place] = byte
            default: break
            }
        }
        return bytes
    }
}
