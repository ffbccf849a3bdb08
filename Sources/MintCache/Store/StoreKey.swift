/// A key that every store takes as it is: 1 to 250 bytes, none of them a control character, a space or DEL.
///
/// The check happens once, when the key is made, so that no store can be handed a key whose bytes it would run as
/// a command. Two keys are equal when their bytes are: unlike `String`, this type does not take "é" in its composed
/// and decomposed forms for one key.
public struct StoreKey: Sendable, Hashable {
    /// The most bytes a key can have, which is memcached's limit.
    public static let maximumLength = 250

    /// The bytes of the key.
    public let bytes: [UInt8]

    /// Makes a key from UTF-8 text.
    ///
    /// - Throws: ``CacheError`` with code `invalidKey` for text that is empty, longer than 250 bytes, or has a byte
    ///   ≤ 0x20 or 0x7F.
    public init(_ text: String) throws {
        try self.init(bytes: Array(text.utf8))
    }

    /// Makes a key from bytes; the same rules hold.
    ///
    /// - Throws: ``CacheError`` with code `invalidKey`.
    public init(bytes: [UInt8]) throws {
        guard !bytes.isEmpty else {
            throw CacheError(.invalidKey, "a store key cannot be empty: give it 1 to \(Self.maximumLength) bytes")
        }
        guard bytes.count <= Self.maximumLength else {
            throw CacheError(
                .invalidKey,
                "a store key of \(bytes.count) bytes is too long: shorten it to \(Self.maximumLength) bytes")
        }
        if let position = bytes.firstIndex(where: { !Self.allows($0) }) {
            throw CacheError(
                .invalidKey,
                "byte \(bytes[position]) at offset \(position) cannot be in a store key: "
                    + "percent-escape control characters and spaces")
        }
        self.init(trusted: bytes)
    }

    /// Makes a key from bytes that were built from allowed bytes only.
    package init(trusted bytes: [UInt8]) {
        assert(!bytes.isEmpty && bytes.count <= Self.maximumLength && bytes.allSatisfy(Self.allows))
        self.bytes = bytes
    }

    /// Whether a byte may stand in a key: neither a control character nor a space nor DEL.
    package static func allows(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte != 0x7F
    }

    /// Feeds the bytes to a hasher in one piece; the synthesised conformance would feed them one by one.
    public func hash(into hasher: inout Hasher) {
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}

extension StoreKey: CustomStringConvertible {
    /// The key as text.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}
