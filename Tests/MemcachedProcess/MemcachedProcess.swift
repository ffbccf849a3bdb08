import Foundation

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A memcached server that a test started. It ends with ``stop()``, and in any case with this process: a shell beside
/// it waits for the end of a pipe that this process holds, and then kills it.
package final class MemcachedProcess: @unchecked Sendable {
    /// Where the server listens.
    package enum Listener: Sendable {
        case tcp
        case unixSocket
    }

    package struct StartFailure: Error, CustomStringConvertible {
        package var description: String
    }

    /// What a store is to be given: `127.0.0.1:port` or the path of a socket.
    package let address: String
    private let arguments: [String]
    // @unchecked: the test that started the server is the only one to stop and start it.
    private var shell: Process?
    private var lifeline: Pipe?
    private var pid: pid_t = 0

    /// Starts a server and waits until it accepts connections.
    package init(_ listener: Listener = .tcp, options: [String] = []) throws {
        switch listener {
        case .tcp:
            let port = try Self.freePort()
            address = "127.0.0.1:\(port)"
            arguments = ["-l", "127.0.0.1", "-p", "\(port)"] + options
        case .unixSocket:
            address = "/tmp/cache-utils-\(UUID().uuidString.prefix(8)).sock"
            arguments = ["-s", address] + options
        }
        try start()
    }

    deinit { stop() }

    /// Starts the server again, empty, at the same address.
    package func start() throws {
        let shell = Process()
        let lifeline = Pipe()
        let output = Pipe()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        let user = getuid() == 0 ? "-u root" : ""
        shell.arguments =
            ["-c", "memcached \(user) \"$@\" & echo $!; read end; kill -9 $!; wait", "memcached", "-t", "1"] + arguments
        shell.standardInput = lifeline
        shell.standardOutput = output
        try shell.run()
        self.shell = shell
        self.lifeline = lifeline
        var line = ""
        while !line.hasSuffix("\n"), let byte = try output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty {
            line += String(decoding: byte, as: UTF8.self)
        }
        pid = pid_t(line.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
        for _ in 0..<500 {
            if canConnect() { return }
            usleep(10_000)
        }
        throw StartFailure(description: "memcached \(arguments) does not accept connections: is it installed?")
    }

    /// Kills the server, as `kill -9` does.
    package func stop() {
        guard let shell else { return }
        if pid > 0 { kill(pid, SIGKILL) }
        try? lifeline?.fileHandleForWriting.close()
        shell.waitUntilExit()
        self.shell = nil
        if address.hasPrefix("/") { unlink(address) }
    }

    /// Stops the server without ending it: connections are accepted and never answered.
    package func suspend() { kill(pid, SIGSTOP) }

    /// Lets a suspended server go on.
    package func resume() { kill(pid, SIGCONT) }

    /// A port on the loopback interface that is free at this moment.
    package static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, streamType, 0)
        defer { close(descriptor) }
        var address = loopback(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutableBytes(of: &address) { bytes -> Int32 in
            guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -1 }
            return bind(descriptor, pointer, size) == 0 ? getsockname(descriptor, pointer, &size) : -1
        }
        guard code == 0 else { throw StartFailure(description: "no free port") }
        return UInt16(bigEndian: address.sin_port)
    }

    #if canImport(Glibc)
        private static let streamType = Int32(SOCK_STREAM.rawValue)
    #else
        private static let streamType = SOCK_STREAM
    #endif

    private static func loopback(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private func canConnect() -> Bool {
        guard let port = address.split(separator: ":").last.flatMap({ UInt16($0) }) else {
            return FileManager.default.fileExists(atPath: address)
        }
        let descriptor = socket(AF_INET, Self.streamType, 0)
        defer { close(descriptor) }
        var address = Self.loopback(port: port)
        return withUnsafeBytes(of: &address) { bytes in
            guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
            return connect(descriptor, pointer, socklen_t(bytes.count)) == 0
        }
    }
}
