#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// `Codable` values as JSON.
struct JSONCodec<Value: Codable>: CacheCodec {
    let format = "JSON \(Value.self)"

    func encode(_ value: Value) throws -> [UInt8] {
        Array(try JSONEncoder().encode(value))
    }

    func decode(_ bytes: ArraySlice<UInt8>) throws -> Value {
        try JSONDecoder().decode(Value.self, from: Data(bytes))
    }
}
