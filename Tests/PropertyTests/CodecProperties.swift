@testable import CacheUtils
import Foundation

extension Property {
    /// The codecs of this package, of several types each, of which the first byte names one: bytes are a value or are refused,
    /// and a value is the same when it is written and read. Those that are not JSON have one way to write it.
    static let codecs = [
        codec(
            "direct",
            flaw(String.self), flaw([UInt8].self), flaw(Data.self), flaw(Bool.self), flaw(Int.self), flaw(Int8.self),
            flaw(UInt16.self), flaw(Float.self), flaw(Double.self)),
        codec("optional", flaw(String?.self), flaw(Int??.self), flaw(Bool?.self)),
        codec("json", flaw(Record.self), flaw([Record].self), flaw([String: Double].self), flaw(Record?.self)),
    ]

    private typealias Flaw = @Sendable ([UInt8]) -> String?

    private static func codec(_ name: String, _ flaws: Flaw...) -> Property {
        Property(name: "codec-\(name)") { bytes in
            var choices = Choices(bytes)
            let flaw = flaws[Int(choices.number(below: UInt8(flaws.count)))]
            return flaw(choices.rest())
        }
    }

    /// Something of most that JSON has.
    private struct Record: Codable, Sendable, CustomStringConvertible {
        var name: String
        var number: Int?
        var fraction: Double
        var date: Date?
        var nested: [Record]?

        var description: String { "\(name) \(number ?? 0) \(fraction) \(nested ?? [])" }
    }

    private static func flaw<Value: Codable & Sendable>(_: Value.Type) -> Flaw {
        let codec = defaultCodec(for: Value.self)
        return { bytes in
            // In the middle of an array, as what is read stands.
            guard let value = try? codec.decode(([0] + bytes + [0])[1..<bytes.count + 1]) else { return nil }
            guard let again = try? codec.encode(value) else { return "\(value) cannot be written" }
            if codec.format.hasPrefix("JSON") {
                guard let reread = try? codec.decode(again[...]), let third = try? codec.encode(reread) else {
                    return "\(value) cannot be read as it is written"
                }
                // The order of keys is open.
                return third.sorted() == again.sorted() ? nil : "\(value) becomes \(reread)"
            }
            return again == bytes ? nil : "\(value) is written as \(again)"
        }
    }
}
