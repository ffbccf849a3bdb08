#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif
import Foundation

/// Why a server could not be asked.
struct ConnectionError: Error, CustomStringConvertible {
    let description: String
}

/// A connection to one server for what the client library does not have: metadump, stats, watch. It waits, and is for one
/// thread.
final class Connection {
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var next = 0

    /// Connects to `host:port`, `host` or the path of a socket.
    init(to address: String) throws {
        descriptor = address.hasPrefix("/") ? try Self.connect(toPath: address) : try Self.connect(toHost: address)
        setTimeout(.seconds(10))
    }

    deinit { close(descriptor) }

    /// How long to wait for a line.
    func setTimeout(_ timeout: Duration) {
        let (seconds, rest) = timeout.components
        var time = timeval(tv_sec: Int(seconds), tv_usec: .init(rest / 1_000_000_000_000))
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    func send(_ line: String) throws {
        var bytes = Array("\(line)\r\n".utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw ConnectionError(description: "the connection broke") }
            bytes = bytes.dropFirst(count)
        }
    }

    /// The next line; `nil` when none came in time.
    func line() throws -> String? {
        while true {
            if let end = buffer[next...].firstIndex(of: 10) {
                let line = buffer[next..<end]
                next = end + 1
                return String(decoding: line.last == 13 ? line.dropLast() : line, as: UTF8.self)
            }
            buffer.removeFirst(next)
            next = 0
            var chunk = [UInt8](repeating: 0, count: 64 * 1024)
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count < 0, errno == EAGAIN || errno == EWOULDBLOCK { return nil }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw ConnectionError(description: "the connection broke") }
            buffer += chunk[..<count]
        }
    }

    /// The lines of an answer up to `END`.
    func lines(of command: String, _ body: (String) throws -> Void) throws {
        try send(command)
        while true {
            guard let line = try line() else { throw ConnectionError(description: "no answer in ten seconds") }
            if line == "END" { return }
            guard !["ERROR", "CLIENT_ERROR", "SERVER_ERROR", "BUSY"].contains(where: line.hasPrefix) else {
                throw ConnectionError(description: "it answered '\(line)' to '\(command)'")
            }
            if !line.isEmpty { try body(line) }
        }
    }

    /// What `stats` says.
    func stats() throws -> [String: String] {
        var all: [String: String] = [:]
        try lines(of: "stats") { line in
            let parts = line.split(separator: " ", maxSplits: 2)
            if parts.count == 3, parts[0] == "STAT" { all[String(parts[1])] = String(parts[2]) }
        }
        return all
    }

    // MARK: Connecting

    private static func connect(toPath path: String) throws -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw ConnectionError(description: "the path of the socket is too long")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = socket(AF_UNIX, streamType, 0)
        let code = withUnsafeBytes(of: &address) { bytes -> Int32 in
            guard let base = bytes.baseAddress else { return -1 }
            return systemConnect(
                descriptor, base.assumingMemoryBound(to: sockaddr.self), socklen_t(MemoryLayout<sockaddr_un>.size))
        }
        guard code == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw ConnectionError(description: reason)
        }
        return descriptor
    }

    private static func connect(toHost address: String) throws -> Int32 {
        // A weight is for those who spread keys.
        let place = address.components(separatedBy: "/?")[0]
        let (host, port) = split(place)
        var hints = addrinfo()
        hints.ai_socktype = streamType
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, port, &hints, &found) == 0 else {
            throw ConnectionError(description: "there is no host \(host)")
        }
        defer { freeaddrinfo(found) }
        var reason = "nothing listens"
        var candidate = found
        while let info = candidate?.pointee {
            let descriptor = socket(info.ai_family, info.ai_socktype, info.ai_protocol)
            if systemConnect(descriptor, info.ai_addr, info.ai_addrlen) == 0 { return descriptor }
            reason = String(cString: strerror(errno))
            close(descriptor)
            candidate = info.ai_next
        }
        throw ConnectionError(description: reason)
    }

    private static func split(_ place: String) -> (host: String, port: String) {
        if place.hasPrefix("["), let end = place.firstIndex(of: "]") {
            let rest = place[place.index(after: end)...]
            return (
                String(place[place.index(after: place.startIndex)..<end]),
                rest.isEmpty ? "11211" : String(rest.dropFirst())
            )
        }
        guard let colon = place.lastIndex(of: ":") else { return (place, "11211") }
        return (String(place[..<colon]), String(place[place.index(after: colon)...]))
    }

    private static var streamType: Int32 {
        #if canImport(Darwin)
        SOCK_STREAM
        #else
        Int32(SOCK_STREAM.rawValue)
        #endif
    }
}

private func systemConnect(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>, _ size: socklen_t) -> Int32 {
    connect(descriptor, address, size)
}
