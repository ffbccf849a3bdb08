#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// `Codable` values as JSON.
struct JSONCodec<Value: Codable>: CacheCodec {
    /// The type under its full name. Where a type is local or private, its name has an address in it, which differs
    /// from process to process and is left out.
    let format = "JSON " + String(reflecting: Value.self).replacing(#/ at \$[0-9a-f]+/#, with: "")

    func encode(_ value: Value) throws -> [UInt8] {
        Array(try JSONEncoder().encode(value))
    }

    func decode(_ bytes: ArraySlice<UInt8>) throws -> Value {
        try JSONDecoder().decode(Value.self, from: Data(bytes))
    }
}
