import Foundation
import Synchronization

#if canImport(Darwin)
package import Darwin
#elseif canImport(Glibc)
package import Glibc
#elseif canImport(Musl)
package import Musl
#endif

/// A memcached server that a test started. It ends with ``stop()``, and in any case with this process, even a killed
/// one: a shell beside it looks every second whether this process is still there.
package final class MemcachedProcess: @unchecked Sendable {
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
    package private(set) var address = ""
    private var arguments: [String] = []
    // @unchecked: the test that started the server is the only one to stop and start it.
    private var pid: pid_t = 0
    private var watchdog: pid_t = 0

    /// Starts a server and waits until it accepts connections.
    package init(_ listener: Listener = .tcp, options: [String] = []) throws {
        // A port that was free may be another program's by the time that the server wants it.
        for attempt in 1...5 {
            switch listener {
            case .tcp:
                let port = try Self.freePort()
                address = "127.0.0.1:\(port)"
                arguments = ["-l", "127.0.0.1", "-p", "\(port)"] + options
            case .unixSocket:
                address = "/tmp/cache-utils-\(UUID().uuidString.prefix(8)).sock"
                arguments = ["-s", address] + options
            case .loopback(let number, let port):
                address = "127.0.0.\(number):\(port)"
                arguments = ["-l", "127.0.0.\(number)", "-p", "\(port)"] + options
            }
            do {
                try start()
                return
            } catch  where attempt < 5 {
                stop()
            }
        }
    }

    deinit { stop() }

    /// Starts the server again, empty, at the same address.
    package func start() throws {
        let user = getuid() == 0 ? ["-u", "root"] : []
        pid = try Self.spawn("memcached", ["-t", "1"] + user + arguments)
        // It outlives what ends the whole group of processes.
        let watch =
            "trap '' HUP INT TERM; while kill -0 \(getpid()) && kill -0 \(pid); do sleep 1; done; kill -9 \(pid)"
        watchdog = try Self.spawn("sh", ["-c", "{ \(watch); } 2>/dev/null"])
        for _ in 0..<5000 {
            usleep(2000)
            // A server that has ended could not listen, and what accepts connections there is another one.
            guard waitpid(pid, nil, WNOHANG) == 0 else { break }
            if canConnect() { return }
        }
        throw StartFailure(description: "memcached \(arguments) does not accept connections")
    }

    /// Kills the server, as `kill -9` does.
    package func stop() {
        for child in [watchdog, pid] where child > 0 {
            kill(child, SIGKILL)
            waitpid(child, nil, 0)
        }
        (watchdog, pid) = (0, 0)
        if address.hasPrefix("/") { unlink(address) }
    }

    /// Starts a program.
    ///
    /// Foundation's `Process` learns of a child's end through a descriptor that children started at the same time
    /// inherit, so it may never learn of it.
    package static func spawn(_ program: String, _ arguments: [String]) throws -> pid_t {
        var strings: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for string in strings { free(string) } }
        var pid: pid_t = 0
        #if canImport(Darwin)
        let environment = _NSGetEnviron().pointee
        #else
        let environment = environ
        #endif
        #if canImport(Glibc)
        // What a child inherits stays open when this process closes it, and its other end would never learn of that.
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // glibc ignores that most of these are not open.
        for descriptor in Int32(3)..<1000 { posix_spawn_file_actions_addclose(&actions, descriptor) }
        let code = posix_spawnp(&pid, program, &actions, nil, &strings, environment)
        #else
        let code = posix_spawnp(&pid, program, nil, nil, &strings, environment)
        #endif
        guard code == 0 else {
            throw StartFailure(description: "\(program) could not be started (error \(code)): is it installed?")
        }
        return pid
    }

    /// Stops the server without ending it: connections are accepted and never answered.
    package func suspend() {
        // 0 would be all processes of the group.
        guard pid > 0 else { return }
        kill(pid, SIGSTOP)
        // The signal takes effect some time after it was sent; this returns when it has.
        waitpid(pid, nil, WUNTRACED)
    }

    /// Lets a suspended server go on.
    package func resume() {
        guard pid > 0 else { return }
        kill(pid, SIGCONT)
    }

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

    private func canConnect() -> Bool {
        let numbers = address.split { $0 == "." || $0 == ":" }
        guard !address.hasPrefix("/"), let number = numbers.dropLast().last.flatMap({ UInt8($0) }),
            let port = numbers.last.flatMap({ UInt16($0) })
        else {
            var socketAddress = sockaddr_un()
            socketAddress.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &socketAddress.sun_path) { $0.copyBytes(from: address.utf8) }
            return Self.canConnect(AF_UNIX, &socketAddress)
        }
        return Self.canConnect(toPort: port, loopback: number)
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
