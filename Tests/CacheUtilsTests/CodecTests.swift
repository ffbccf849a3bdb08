import Foundation
import MintCache
import Testing

@testable import CacheUtils

private struct Row: Codable, Sendable, Equatable {
    var id: Int
    var name: String?
    var tags: [String]
}

private enum Old {
    struct City: Codable { var name: String }
}

private enum New {
    struct City: Codable { var name: String }
}

private enum Size: String, Codable {
    case small, large
}

@Suite("A codec")
struct CodecTests {
    private func roundTrip<Value: Codable & Sendable & Equatable>(_ values: Value...) throws {
        let codec = defaultCodec(for: Value.self)
        for value in values { #expect(try codec.decode(codec.encode(value)[...]) == value) }
    }

    @Test("reads what it wrote, of every type")
    func roundTrips() throws {
        try roundTrip("", "x", "жé🎈", "\0")
        try roundTrip([UInt8](), [0, 255])
        try roundTrip(Data(), Data([1, 2]))
        try roundTrip(true, false)
        try roundTrip(Int.min, -1, 0, Int.max)
        try roundTrip(Int8.min, 7)
        try roundTrip(UInt64.max)
        try roundTrip(UInt16(513))
        try roundTrip(0.1, -0.0, Double.infinity)
        try roundTrip(Float(0.1))
        try roundTrip(Row(id: 1, name: nil, tags: []), Row(id: 2, name: "x", tags: ["a"]))
        try roundTrip([1, 2, 3], [])
        try roundTrip(["a": 1])
        try roundTrip(Size.small)
        try roundTrip(String?.none, "", "x")
        try roundTrip(Row?.none, Row(id: 1, name: nil, tags: []))
        try roundTrip(Int??.none, .some(.none), 3)
    }

    @Test("writes strings, bytes, numbers and Booleans without JSON")
    func direct() throws {
        #expect(try defaultCodec(for: String.self).encode("ab") == [0x61, 0x62])
        #expect(try defaultCodec(for: [UInt8].self).encode([1, 2]) == [1, 2])
        #expect(try defaultCodec(for: UInt32.self).encode(258) == [2, 1, 0, 0])
        #expect(try defaultCodec(for: Bool.self).encode(true) == [1])
        #expect(try defaultCodec(for: Double.self).encode(1) == [0, 0, 0, 0, 0, 0, 0xF0, 0x3F])
        #expect(try defaultCodec(for: Row.self).encode(Row(id: 1, name: nil, tags: [])).first == UInt8(ascii: "{"))
    }

    @Test("does not read bytes that are no value of its type")
    func malformed() {
        func refuses<Value: Codable & Sendable>(_ type: Value.Type, _ bytes: [UInt8]) {
            #expect(throws: (any Error).self) { try defaultCodec(for: type).decode(bytes[...]) }
        }
        refuses(String.self, [0xFF])
        refuses(String.self, [0x61, 0xC3])
        for length in [0, 1, 7, 9] { refuses(Int.self, [UInt8](repeating: 0, count: length)) }
        refuses(Bool.self, [2])
        refuses(Bool.self, [])
        refuses(Double.self, [0])
        refuses(Row.self, [])
        refuses(Row.self, Array("{\"id\":1}".utf8))
        refuses(Int?.self, [0, 0])
    }

    @Test("has another format for each type")
    func formats() {
        let formats = [
            defaultCodec(for: String.self).format, defaultCodec(for: Int.self).format,
            defaultCodec(for: UInt.self).format,
            defaultCodec(for: Int64.self).format, defaultCodec(for: [UInt8].self).format,
            defaultCodec(for: [Int].self).format,
            defaultCodec(for: Row.self).format, defaultCodec(for: Row?.self).format,
            defaultCodec(for: Int?.self).format,
            defaultCodec(for: Int??.self).format, defaultCodec(for: Data.self).format,
        ]
        #expect(Set(formats).count == formats.count)
        #expect(defaultCodec(for: Old.City.self).format != defaultCodec(for: New.City.self).format)
        struct Local: Codable {}
        for format in formats + [defaultCodec(for: Local.self).format] {
            #expect(!format.contains("$"), "\(format) differs from process to process")
        }
    }
}
