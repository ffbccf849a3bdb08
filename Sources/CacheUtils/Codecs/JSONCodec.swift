#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// `Codable` values as JSON: what is used where no codec is given. It is for wrapping it, `JSONCodec<City>().compressed()`.
public struct JSONCodec<Value: Codable>: CacheCodec {
    /// The type under its full name. Where a type is local or private, its name has an address in it, which differs
    /// from process to process and is left out.
    public let format = "JSON " + String(reflecting: Value.self).replacing(#/ at \$[0-9a-f]+/#, with: "")

    /// Makes a codec.
    public init() {}

    /// The JSON of a value.
    public func encode(_ value: Value) throws -> [UInt8] {
        let encoder = JSONEncoder()
        // JSON has no such numbers, so they are strings. A field that is a string is never read as a number.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "+inf", negativeInfinity: "-inf", nan: "nan")
        return Array(try encoder.encode(value))
    }

    /// The value of JSON.
    public func decode(_ bytes: ArraySlice<UInt8>) throws -> Value {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "+inf", negativeInfinity: "-inf", nan: "nan")
        return try decoder.decode(Value.self, from: Data(bytes))
    }
}
