#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A type whose values are stored as they are, without a trip through JSON.
protocol DirectlyCoded: Sendable {
    /// The bytes of the value.
    var cacheBytes: [UInt8] { get }

    /// The value of bytes; `nil` for bytes that are none.
    init?(cacheBytes: ArraySlice<UInt8>)
}

struct DirectCodec<Value: DirectlyCoded>: CacheCodec {
    let format = "\(Value.self)"

    func encode(_ value: Value) -> [UInt8] { value.cacheBytes }

    func decode(_ bytes: ArraySlice<UInt8>) throws -> Value {
        guard let value = Value(cacheBytes: bytes) else { throw MalformedPayload() }
        return value
    }
}

extension String: DirectlyCoded {
    var cacheBytes: [UInt8] { Array(utf8) }

    init?(cacheBytes: ArraySlice<UInt8>) { self.init(validating: cacheBytes, as: UTF8.self) }
}

extension Array: DirectlyCoded where Element == UInt8 {
    var cacheBytes: [UInt8] { self }

    init?(cacheBytes: ArraySlice<UInt8>) { self.init(cacheBytes) }
}

extension Data: DirectlyCoded {
    var cacheBytes: [UInt8] { Array(self) }

    init?(cacheBytes: ArraySlice<UInt8>) { self.init(cacheBytes) }
}

extension Bool: DirectlyCoded {
    var cacheBytes: [UInt8] { [self ? 1 : 0] }

    init?(cacheBytes: ArraySlice<UInt8>) {
        switch Array(cacheBytes) {
        case [0]: self = false
        case [1]: self = true
        default: return nil
        }
    }
}

/// Integers are stored little-endian in the width of their type.
extension DirectlyCoded where Self: FixedWidthInteger {
    var cacheBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }

    init?(cacheBytes: ArraySlice<UInt8>) {
        guard cacheBytes.count == MemoryLayout<Self>.size else { return nil }
        self.init(littleEndian: cacheBytes.withUnsafeBytes { $0.loadUnaligned(as: Self.self) })
    }
}

extension Int: DirectlyCoded {}
extension Int8: DirectlyCoded {}
extension Int16: DirectlyCoded {}
extension Int32: DirectlyCoded {}
extension Int64: DirectlyCoded {}
extension UInt: DirectlyCoded {}
extension UInt8: DirectlyCoded {}
extension UInt16: DirectlyCoded {}
extension UInt32: DirectlyCoded {}
extension UInt64: DirectlyCoded {}

extension Double: DirectlyCoded {
    var cacheBytes: [UInt8] { bitPattern.cacheBytes }

    init?(cacheBytes: ArraySlice<UInt8>) {
        guard let pattern = UInt64(cacheBytes: cacheBytes) else { return nil }
        self.init(bitPattern: pattern)
    }
}

extension Float: DirectlyCoded {
    var cacheBytes: [UInt8] { bitPattern.cacheBytes }

    init?(cacheBytes: ArraySlice<UInt8>) {
        guard let pattern = UInt32(cacheBytes: cacheBytes) else { return nil }
        self.init(bitPattern: pattern)
    }
}
