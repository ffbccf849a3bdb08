import Crypto
import MintCache

/// The keys of one namespace and version: `shop:7:City.get("paris")` for a call, `shop:7:offers` for a key by name,
/// `shop:7:@cities` for a group.
///
/// No two of them are equal: a colon in the namespace or the version is escaped, and so are `@` at the start of a name
/// and `(` in a key by name. Which `(` ends the name of a function is told by the arguments after it, in which quotes
/// and parentheses are balanced.
struct KeySpace: Sendable {
    /// The longest `namespace:version:`, which leaves room for a name before the digest of a long key.
    static let longestPrefix = 128

    private let prefix: Result<[UInt8], CacheError>

    init(namespace: String, version: String) {
        prefix = Result { () throws(CacheError) in
            guard !namespace.isEmpty else {
                throw CacheError(.invalidKey, "the namespace of a cache is empty: name the application")
            }
            let colon = UInt8(ascii: ":")
            let reserved = { (byte: UInt8) in byte == colon }
            let prefix =
                KeyEscape.escape(namespace, reserved: reserved) + [colon]
                + KeyEscape.escape(version, reserved: reserved) + [colon]
            guard prefix.count <= Self.longestPrefix else {
                throw CacheError(
                    .invalidKey,
                    "the namespace and version of a cache take \(prefix.count) bytes of every key, which has "
                        + "\(StoreKey.maximumLength): shorten them to \(Self.longestPrefix) bytes together")
            }
            return prefix
        }
    }

    /// What the keys of a function's calls begin with, up to the parenthesis before the arguments.
    func head(ofFunction name: String) throws(CacheError) -> [UInt8] {
        try prefix.get() + escape(name, "the name of a cached function") + [UInt8(ascii: "(")]
    }

    /// The key of a value that is cached by name.
    func key(named name: String) throws(CacheError) -> StoreKey {
        Self.key(try prefix.get() + escape(name, "a cache key") { $0 == UInt8(ascii: "(") })
    }

    /// The generation key of a group.
    func key(ofGroup name: String) throws(CacheError) -> StoreKey {
        guard !name.isEmpty else {
            throw CacheError(.invalidKey, "the name of a group is empty: give it a name of its own")
        }
        return Self.key(try prefix.get() + [UInt8(ascii: "@")] + KeyEscape.escape(name))
    }

    private func escape(
        _ name: String, _ what: String, reserved: (UInt8) -> Bool = { _ in false }
    ) throws(CacheError) -> [UInt8] {
        guard !name.isEmpty else {
            throw CacheError(.invalidKey, "\(what) is empty: give it a name that no other in this namespace has")
        }
        let escaped = KeyEscape.escape(name, reserved: reserved)
        guard escaped.first == UInt8(ascii: "@") else { return escaped }
        var marked: [UInt8] = []
        KeyEscape.append(escaped[0], to: &marked) { _ in true }
        return marked + escaped.dropFirst()
    }

    // MARK: Length

    private static let digestSize = 64

    /// The key itself, if it is short enough. Else its head, a minus sign and the SHA-256 of the whole.
    ///
    /// A short key that looks like a shortened one is shortened too, so that nobody can name a shortened key.
    static func key(_ bytes: consuming [UInt8]) -> StoreKey {
        guard bytes.count > StoreKey.maximumLength || looksShortened(bytes) else { return StoreKey(trusted: bytes) }
        var end = min(bytes.count, StoreKey.maximumLength - digestSize - 1)
        while end > 0, end < bytes.count, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return StoreKey(trusted: bytes[..<end] + [UInt8(ascii: "-")] + hexadecimal(SHA256.hash(data: bytes)))
    }

    private static func looksShortened(_ bytes: [UInt8]) -> Bool {
        bytes.count > digestSize && bytes[bytes.count - digestSize - 1] == UInt8(ascii: "-")
            && bytes.suffix(digestSize).allSatisfy(hexadecimalDigits.contains)
    }

    private static let hexadecimalDigits = Array("0123456789abcdef".utf8)

    private static func hexadecimal(_ digest: some Sequence<UInt8>) -> [UInt8] {
        digest.flatMap { [hexadecimalDigits[Int($0 >> 4)], hexadecimalDigits[Int($0 & 15)]] }
    }
}
