/// Turns values of one type into bytes and back.
///
/// `Codable` values need none: they are stored as JSON, and strings, bytes, numbers and Booleans as they are. Write
/// one for anything else, or for a denser format, and hand it to `cached` or `value(forKey:)`.
///
/// A value is decoded once for as long as the store has the same one, and handed to all callers, as a shared load's is:
/// where it is an instance of a class, they share the instance. How much memory decoded values may take together says
/// `decodedCapacity` of the cache.
public protocol CacheCodec<Value>: Sendable {
    /// What is encoded.
    associatedtype Value

    /// A name for the format and the type together, like `JSON City`. A value that was stored under another name is
    /// not read: it is a miss and is replaced.
    var format: String { get }

    /// The bytes of a value.
    ///
    /// - Throws: any error. Then the caller gets the value, and it is not cached.
    func encode(_ value: Value) throws -> [UInt8]

    /// The value of bytes that ``encode(_:)`` wrote, or that were damaged since: it must not trap, whatever they are.
    ///
    /// - Parameter bytes: a part of a larger array. Copy what the value keeps of them, or it keeps all of that.
    /// - Throws: any error. Then the bytes are a miss.
    func decode(_ bytes: ArraySlice<UInt8>) throws -> Value
}

extension CacheCodec {
    /// The codec of an optional value.
    public var optional: any CacheCodec<Value?> { OptionalCodec(base: self) }
}

/// `nil` is no bytes; a value is its bytes and a 1.
struct OptionalCodec<Base: CacheCodec>: CacheCodec {
    let base: Base

    var format: String { base.format + "?" }

    func encode(_ value: Base.Value?) throws -> [UInt8] {
        guard let value else { return [] }
        return try base.encode(value) + [1]
    }

    func decode(_ bytes: ArraySlice<UInt8>) throws -> Base.Value? {
        guard let last = bytes.last else { return nil }
        guard last == 1 else { throw MalformedPayload() }
        return try base.decode(bytes.dropLast())
    }
}

/// The bytes are not what the codec writes.
struct MalformedPayload: Error {}
