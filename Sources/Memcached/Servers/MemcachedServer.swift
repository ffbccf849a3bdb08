import MintCache

/// The address of a memcached server, and its weight among others.
public struct MemcachedServer: Sendable, Hashable {
    enum Endpoint: Sendable, Hashable {
        case tcp(host: String, port: UInt16)
        case unix(path: String)
    }

    /// memcached's own port.
    public static let defaultPort: UInt16 = 11211

    let endpoint: Endpoint

    /// The host and its port, or the path of the socket.
    var addressAndPort: (address: String, port: UInt16?) {
        switch endpoint {
        case .tcp(let host, let port): (host, port)
        case .unix(let path): (path, nil)
        }
    }

    /// How many keys the server gets, in proportion to the other servers.
    public let weight: UInt32

    /// Reads an address: `"cache1:11211"`, `"cache1"` (port 11211), `"[::1]:11211"`, `"/run/memcached.sock"`.
    ///
    /// - Parameters:
    ///   - address: the address. It may end in a weight as libmemcached writes it: `"cache1:11211/?2"`.
    ///   - weight: the weight, 1 to 65,535; one in the address goes before it.
    /// - Throws: ``CacheError`` with code `invalidServer`, which says what is wrong with which address.
    public init(_ address: String, weight: Int = 1) throws {
        let parts = Self.split(address, atLast: "/?")
        let weight = try parts.rest.map { try Self.weight($0, in: address) } ?? weight
        guard let checked = UInt16(exactly: weight), checked > 0 else {
            throw Self.error(address, "has the weight \(weight): give 1 to 65535")
        }
        self.weight = UInt32(checked)
        endpoint = try Self.endpoint(parts.head, in: address)
    }

    private static func endpoint(_ text: String, in address: String) throws -> Endpoint {
        guard !text.isEmpty else { throw error(address, "is empty: give a host, host:port or the path of a socket") }
        guard text.utf8.allSatisfy(StoreKey.allows) else {
            throw error(address, "has a space or a control character in it")
        }
        guard !text.contains("://") else { throw error(address, "is a URL: give host:port alone") }
        guard !text.contains(",") else { throw error(address, "has a comma in it: give each server by itself") }
        if text.hasPrefix("/") {
            guard text.contains(where: { $0 != "/" }) else { throw error(address, "is a folder, not a socket") }
            guard text.utf8.count <= 107 else { throw error(address, "is longer than a socket path can be, 107 bytes") }
            return .unix(path: text)
        }
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw error(address, "has no ] after its [") }
            let host = String(text[text.index(after: text.startIndex)..<end])
            let rest = text[text.index(after: end)...]
            guard host.contains(":"), host.wholeMatch(of: /[0-9A-Fa-f:.]+(%[0-9A-Za-z._-]+)?/) != nil,
                rest.isEmpty || rest.hasPrefix(":")
            else { throw error(address, "is not an IPv6 address of the form [host]:port") }
            return .tcp(host: host, port: rest.isEmpty ? defaultPort : try port(rest.dropFirst(), in: address))
        }
        let parts = split(text, atLast: ":")
        guard !parts.head.contains(":") else {
            throw error(address, "looks like an IPv6 address: write it in brackets, as in [::1]:11211")
        }
        guard !parts.head.isEmpty else { throw error(address, "has no host before its port") }
        guard !parts.head.contains("/") else {
            throw error(address, "has a slash in its host: the path of a socket starts with one")
        }
        guard parts.head.wholeMatch(of: /[0-9A-Za-z._-]+/) != nil else {
            throw error(address, "has a host of other characters than letters, digits, dots and minus signs")
        }
        return .tcp(host: parts.head, port: try parts.rest.map { try port($0[...], in: address) } ?? defaultPort)
    }

    private static func port(_ text: Substring, in address: String) throws -> UInt16 {
        guard text.utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains), let port = UInt16(text), port > 0
        else { throw error(address, "has the port '\(text)': give 1 to 65535") }
        return port
    }

    private static func weight(_ text: String, in address: String) throws -> Int {
        guard let weight = Int(text) else { throw error(address, "has the weight '\(text)': give 1 to 65535") }
        return weight
    }

    private static func split(_ text: String, atLast separator: String) -> (head: String, rest: String?) {
        guard let range = text.ranges(of: separator).last else { return (text, nil) }
        return (String(text[..<range.lowerBound]), String(text[range.upperBound...]))
    }

    private static func error(_ address: String, _ what: String) -> CacheError {
        CacheError(.invalidServer, "the memcached server '\(address)' \(what)")
    }

    /// What makes two entries of a list the same server.
    var identity: Endpoint {
        switch endpoint {
        case .tcp(let host, let port): .tcp(host: host.lowercased(), port: port)
        case .unix(let path): .unix(path: "/" + path.split(separator: "/").joined(separator: "/"))
        }
    }
}

extension MemcachedServer: CustomStringConvertible {
    /// The address, as it can be read again.
    public var description: String {
        let address =
            switch endpoint {
            case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .unix(let path): path
            }
        // A path may look as if it ended in a weight.
        return weight == 1 && !address.contains("/?") ? address : "\(address)/?\(weight)"
    }
}
