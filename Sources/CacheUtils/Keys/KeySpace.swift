import Crypto
import MintCache

/// The keys of one namespace and version: `shop:7:City.get("paris")` for a call, `shop:7:offers` for a key by name,
/// `shop:@cities` for a group, which is of all versions.
///
/// No two of them are equal: a colon in the namespace or the version is escaped, and so are `@` at the start of a
/// version or a name and `(` in a key by name. Which `(` ends the name of a function is told by the arguments after it, in which quotes
/// and parentheses are balanced.
@usableFromInline
struct KeySpace: Sendable {
    /// The longest `namespace:version:`, which leaves room for a name before the digest of a long key.
    static let longestPrefix = 128

    private struct Prefixes {
        /// `shop:`
        var namespace: [UInt8]
        /// `shop:7:`
        var version: [UInt8]
        /// The same for the versions whose values are invalidated too.
        var otherVersions: [[UInt8]]
        /// The same for those of the first edition, whose groups are invalidated too.
        var firstEdition: [[UInt8]]
    }

    private let prefixes: Result<Prefixes, CacheError>
    private let canInvalidateAll: Bool

    /// - Parameters:
    ///   - others: the versions whose values are invalidated too.
    ///   - firstEdition: those of them whose groups are of the version, and are invalidated too.
    ///   - canInvalidateAll: whether every value is in one more group.
    init(
        namespace: String, version: String, others: [String] = [], firstEdition: [String] = [],
        canInvalidateAll: Bool = false
    ) {
        self.canInvalidateAll = canInvalidateAll
        prefixes = Result { () throws(CacheError) in
            guard !namespace.isEmpty else {
                throw CacheError(.invalidKey, "the namespace of a cache is empty: name the application")
            }
            let escaped = KeyEscape.escape(namespace, reserved: Self.isColon) + [Self.colon]
            func prefixes(_ versions: Set<String>) throws(CacheError) -> [[UInt8]] {
                var prefixes: [[UInt8]] = []
                for version in versions.sorted() { prefixes.append(try Self.prefix(escaped, version: version)) }
                return prefixes
            }
            return Prefixes(
                namespace: escaped, version: try Self.prefix(escaped, version: version),
                otherVersions: try prefixes(Set(others).union(firstEdition).subtracting([version])),
                firstEdition: try prefixes(Set(firstEdition)))
        }
    }

    /// Whether there is a key at all.
    var isUsable: Result<Void, CacheError> { prefixes.map { _ in } }

    private static let colon = UInt8(ascii: ":")

    private static func isColon(_ byte: UInt8) -> Bool { byte == colon }

    private static func prefix(_ namespace: [UInt8], version: String) throws(CacheError) -> [UInt8] {
        let prefix = namespace + escapedStart(KeyEscape.escape(version, reserved: isColon)) + [colon]
        guard prefix.count <= longestPrefix else {
            throw CacheError(
                .invalidKey,
                "the namespace and version of a cache take \(prefix.count) bytes of every key, which has "
                    + "\(StoreKey.maximumLength): shorten them to \(longestPrefix) bytes together")
        }
        return prefix
    }

    /// What the keys of a function's calls begin with, up to the parenthesis before the arguments.
    func head(ofFunction name: String) throws(CacheError) -> [UInt8] {
        try head(prefixes.get().version, ofFunction: name)
    }

    /// The same in the other versions whose values are invalidated too.
    func otherHeads(ofFunction name: String) throws(CacheError) -> [[UInt8]] {
        var heads: [[UInt8]] = []
        for prefix in try prefixes.get().otherVersions { heads.append(try head(prefix, ofFunction: name)) }
        return heads
    }

    private func head(_ prefix: [UInt8], ofFunction name: String) throws(CacheError) -> [UInt8] {
        try prefix + escape(name, "the name of a cached function") + [UInt8(ascii: "(")]
    }

    /// The key of a value that is cached by name.
    func key(named name: String) throws(CacheError) -> StoreKey {
        try key(prefixes.get().version, named: name)
    }

    /// The same, and those in the other versions whose values are invalidated too.
    func keys(named name: String) throws(CacheError) -> [StoreKey] {
        var keys = [try key(named: name)]
        for prefix in try prefixes.get().otherVersions { keys.append(try key(prefix, named: name)) }
        return keys
    }

    private func key(_ prefix: [UInt8], named name: String) throws(CacheError) -> StoreKey {
        Self.key(try prefix + escape(name, "a cache key") { $0 == UInt8(ascii: "(") })
    }

    /// The generation key of a group.
    func key(ofGroup name: String) throws(CacheError) -> StoreKey {
        guard !name.isEmpty else {
            throw CacheError(.invalidKey, "the name of a group is empty: give it a name of its own")
        }
        let prefixes = try prefixes.get()
        let prefix = PlantedMistake.stampsOfVersion.isPlanted ? prefixes.version : prefixes.namespace
        return Self.key(prefix + [UInt8(ascii: "@")] + KeyEscape.escape(name))
    }

    /// The generation keys that a group has in the first edition, one for each version.
    func firstEditionKeys(ofGroup name: String) throws(CacheError) -> [StoreKey] {
        var keys: [StoreKey] = []
        for prefix in try prefixes.get().firstEdition {
            keys.append(Self.key(prefix + [UInt8(ascii: "@")] + KeyEscape.escape(name)))
        }
        return keys
    }

    /// The generation key of everything in the namespace, where every value is in that group; no other group's name is
    /// empty.
    func groupOfAll() throws(CacheError) -> StoreKey? {
        canInvalidateAll ? Self.key(try prefixes.get().namespace + [UInt8(ascii: "@")]) : nil
    }

    private func escape(
        _ name: String, _ what: String, reserved: (UInt8) -> Bool = { _ in false }
    ) throws(CacheError) -> [UInt8] {
        guard !name.isEmpty else {
            throw CacheError(.invalidKey, "\(what) is empty: give it a name that no other in this namespace has")
        }
        return Self.escapedStart(KeyEscape.escape(name, reserved: reserved))
    }

    /// The same with an `@` at the start escaped: that is a group's.
    private static func escapedStart(_ escaped: [UInt8]) -> [UInt8] {
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
