#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif
import MintCache

/// A type whose values are stored as they are, without a trip through JSON.
protocol DirectlyCoded: Sendable {
    /// The bytes of the value.
    var cacheBytes: [UInt8] { get }

    /// The value of bytes.
    ///
    /// - Throws: ``MalformedPayload`` for bytes that are none.
    init(cacheBytes: borrowing ArraySlice<UInt8>) throws
}

/// A codec that decodes about as quickly as a table could be asked for the value.
protocol QuickCodec {}

struct DirectCodec<Value: DirectlyCoded>: CacheCodec, QuickCodec {
    let format = "\(Value.self)"

    func encode(_ value: Value) -> [UInt8] { value.cacheBytes }

    func decode(_ bytes: ArraySlice<UInt8>) throws -> Value {
        try Value(cacheBytes: bytes)
    }
}

extension String: DirectlyCoded {
    var cacheBytes: [UInt8] { Array(utf8) }

    init(cacheBytes: borrowing ArraySlice<UInt8>) throws {
        // Faster than `String(validating:as:)`: invalid bytes are repaired, and so no longer the same.
        var text = cacheBytes.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
        let isValid = cacheBytes.withUnsafeBytes { bytes in
            text.withUTF8 { UnsafeRawBufferPointer($0).isSame(as: bytes) }
        }
        guard isValid else { throw MalformedPayload() }
        self = text
    }
}

extension Array: DirectlyCoded where Element == UInt8 {
    var cacheBytes: [UInt8] { self }

    init(cacheBytes: borrowing ArraySlice<UInt8>) { self.init(copy cacheBytes) }
}

extension Data: DirectlyCoded {
    var cacheBytes: [UInt8] { Array(self) }

    init(cacheBytes: borrowing ArraySlice<UInt8>) { self.init(copy cacheBytes) }
}

extension Bool: DirectlyCoded {
    var cacheBytes: [UInt8] { [self ? 1 : 0] }

    init(cacheBytes: borrowing ArraySlice<UInt8>) throws {
        switch Array(copy cacheBytes) {
        case [0]: self = false
        case [1]: self = true
        default: throw MalformedPayload()
        }
    }
}

/// Integers are stored little-endian in the width of their type.
extension DirectlyCoded where Self: FixedWidthInteger {
    var cacheBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }

    init(cacheBytes: borrowing ArraySlice<UInt8>) throws {
        guard cacheBytes.count == MemoryLayout<Self>.size else { throw MalformedPayload() }
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

    init(cacheBytes: borrowing ArraySlice<UInt8>) throws {
        self.init(bitPattern: try UInt64(cacheBytes: cacheBytes))
    }
}

extension Float: DirectlyCoded {
    var cacheBytes: [UInt8] { bitPattern.cacheBytes }

    init(cacheBytes: borrowing ArraySlice<UInt8>) throws {
        self.init(bitPattern: try UInt32(cacheBytes: cacheBytes))
    }
}
