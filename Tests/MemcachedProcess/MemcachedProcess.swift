import Foundation
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A memcached server that a test started. It ends with ``stop()``, and in any case with this process.
package final class MemcachedProcess: Sendable {
    /// Where the server listens.
    package enum Listener: Sendable {
        case tcp
        case unixSocket
        /// 127.0.0.2 and so on, which Linux has and other systems have not.
        case loopback(number: UInt8, port: UInt16)
    }

    package struct StartFailure: Error, CustomStringConvertible {
        package var description: String
    }

    /// What a store is to be given: `127.0.0.1:port` or the path of a socket.
    package let address: String
    private let arguments: [String]
    private let child: Mutex<ChildProcess?>

    /// Starts a server and waits until it accepts connections.
    package init(_ listener: Listener = .tcp, options: [String] = []) throws {
        let started = try Self.start(listener, options)
        (address, arguments) = (started.address, started.arguments)
        child = Mutex(started.child)
    }

    deinit { stop() }

    private static func start(
        _ listener: Listener, _ options: [String]
    ) throws -> (address: String, arguments: [String], child: ChildProcess) {
        // A port that was free may be another program's by the time that the server wants it.
        var attempt = 1
        while true {
            let (address, arguments) = try place(listener)
            do {
                return (address, arguments + options, try start(address, arguments + options))
            } catch  where attempt < 5 {
                attempt += 1
            }
        }
    }

    private static func place(_ listener: Listener) throws -> (address: String, arguments: [String]) {
        switch listener {
        case .tcp:
            let port = try freePort()
            return ("127.0.0.1:\(port)", ["-l", "127.0.0.1", "-p", "\(port)"])
        case .unixSocket:
            let path = "/tmp/cache-utils-\(UUID().uuidString.prefix(8)).sock"
            return (path, ["-s", path])
        case .loopback(let number, let port):
            return ("127.0.0.\(number):\(port)", ["-l", "127.0.0.\(number)", "-p", "\(port)"])
        }
    }

    private static func start(_ address: String, _ arguments: [String]) throws -> ChildProcess {
        let user = getuid() == 0 ? ["-u", "root"] : []
        let child = try ChildProcess("memcached", ["-t", "1"] + user + arguments)
        guard child.lives(until: { canConnect(to: address) }) else {
            child.kill()
            throw StartFailure(description: "memcached \(arguments) does not accept connections")
        }
        return child
    }

    /// Starts the server again, empty, at the same address.
    package func start() throws {
        let started = try Self.start(address, arguments)
        child.withLock { $0 = started }
    }

    /// Kills the server, as `kill -9` does.
    package func stop() {
        child.withLock { child in
            child?.kill()
            child = nil
        }
        if address.hasPrefix("/") { unlink(address) }
    }

    /// Stops the server without ending it: connections are accepted and never answered.
    package func suspend() { child.withLock { $0?.suspend() } }

    /// Lets a suspended server go on.
    package func resume() { child.withLock { $0?.resume() } }

    /// The ports that this process was given; the system may offer one again before a server listens on it.
    private static let takenPorts = Mutex<Set<UInt16>>([])

    /// A port on the loopback interface that is free at this moment.
    package static func freePort() throws -> UInt16 {
        while true {
            let port = try unusedPort()
            if takenPorts.withLock({ $0.insert(port).inserted }) { return port }
        }
    }

    private static func unusedPort() throws -> UInt16 {
        let descriptor = try boundSocket()
        defer { close(descriptor) }
        return try port(of: descriptor)
    }

    private static func port(of descriptor: Int32) throws -> UInt16 {
        var address = loopback(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutableBytes(of: &address) { bytes -> Int32 in
            bytes.baseAddress.map { getsockname(descriptor, $0.assumingMemoryBound(to: sockaddr.self), &size) } ?? -1
        }
        guard code == 0 else { throw StartFailure(description: "no free port") }
        return UInt16(bigEndian: address.sin_port)
    }

    /// A socket that listens on a loopback port that the system chooses, so that nobody can take the port before, or on
    /// this one.
    package static func listener(
        loopback number: UInt8 = 1, port: UInt16 = 0, backlog: Int32 = 16
    ) throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = try boundSocket(Self.loopback(number, port: port))
        guard listen(descriptor, backlog) == 0 else { throw StartFailure(description: "cannot listen") }
        return (descriptor, try Self.port(of: descriptor))
    }

    /// A socket that is bound to a loopback port that the system chooses, or to this one.
    private static func boundSocket(_ address: sockaddr_in = MemcachedProcess.loopback(port: 0)) throws -> Int32 {
        let descriptor = socket(AF_INET, streamType, 0)
        var address = address
        let code = withUnsafeBytes(of: &address) { bytes -> Int32 in
            bytes.baseAddress.map {
                bind(descriptor, $0.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
            } ?? -1
        }
        guard code == 0 else { throw StartFailure(description: "cannot bind to a loopback port") }
        return descriptor
    }

    #if canImport(Glibc)
    private static let streamType = Int32(SOCK_STREAM.rawValue)
    #else
    private static let streamType = SOCK_STREAM
    #endif

    private static func loopback(_ number: UInt8 = 1, port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = (UInt32(0x7F00_0000) + UInt32(number)).bigEndian
        return address
    }

    private static func canConnect(to address: String) -> Bool {
        let numbers = address.split { $0 == "." || $0 == ":" }
        guard !address.hasPrefix("/"), let number = numbers.dropLast().last.flatMap({ UInt8($0) }),
            let port = numbers.last.flatMap({ UInt16($0) })
        else {
            var socketAddress = sockaddr_un()
            socketAddress.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &socketAddress.sun_path) { $0.copyBytes(from: address.utf8) }
            return canConnect(AF_UNIX, &socketAddress)
        }
        return canConnect(toPort: port, loopback: number)
    }

    /// A connection to a loopback port.
    package static func connect(toPort port: UInt16, loopback number: UInt8 = 1) -> Int32? {
        let descriptor = socket(AF_INET, streamType, 0)
        var address = loopback(number, port: port)
        if connect(descriptor, AF_INET, &address) { return descriptor }
        close(descriptor)
        return nil
    }

    /// Whether something listens on a loopback port.
    static func canConnect(toPort port: UInt16, loopback number: UInt8 = 1) -> Bool {
        var socketAddress = loopback(number, port: port)
        return canConnect(AF_INET, &socketAddress)
    }

    private static func canConnect<Address>(_ family: Int32, _ address: inout Address) -> Bool {
        let descriptor = socket(family, streamType, 0)
        defer { close(descriptor) }
        return connect(descriptor, family, &address)
    }

    private static func connect<Address>(_ descriptor: Int32, _ family: Int32, _ address: inout Address) -> Bool {
        withUnsafeBytes(of: &address) { bytes in
            guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
            #if canImport(Darwin)
            return Darwin.connect(descriptor, pointer, socklen_t(bytes.count)) == 0
            #elseif canImport(Glibc)
            return Glibc.connect(descriptor, pointer, socklen_t(bytes.count)) == 0
            #else
            return Musl.connect(descriptor, pointer, socklen_t(bytes.count)) == 0
            #endif
        }
    }
}
