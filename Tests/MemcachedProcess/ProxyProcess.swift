import Foundation
import Synchronization

/// A nutcracker (twemproxy) in front of memcached servers, all of which a test started. It ends with ``stop()``.
package final class ProxyProcess: Sendable {
    /// What a store is to be given.
    package let address: String
    /// The servers behind it.
    package let servers: [MemcachedProcess]
    private let child: Mutex<ChildProcess?>
    private let folder: URL

    /// Starts servers and a proxy in front of them, and waits until it accepts connections.
    ///
    /// - Parameter options: lines of the pool's configuration.
    package init(serverCount: Int, options: [String] = []) throws {
        servers = try (0..<serverCount).map { _ in try MemcachedProcess() }
        folder = FileManager.default.temporaryDirectory.appending(path: "cache-utils-proxy-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let started = try Self.start(servers, options, folder)
        address = started.address
        child = Mutex(started.child)
    }

    private static func start(
        _ servers: [MemcachedProcess], _ options: [String], _ folder: URL
    ) throws -> (address: String, child: ChildProcess) {
        // A port that was free may be another program's by the time that the proxy wants it.
        for _ in 0..<5 {
            let port = try MemcachedProcess.freePort()
            let address = "127.0.0.1:\(port)"
            let file = folder.appending(path: "nutcracker.yml")
            let lines =
                [
                    "pool:", "  listen: \(address)", "  hash: md5", "  distribution: ketama",
                    "  auto_eject_hosts: false", "  timeout: 2000",
                ] + options.map { "  " + $0 } + ["  servers:"] + servers.map { "   - \($0.address):1" }
            try (lines.joined(separator: "\n") + "\n").write(to: file, atomically: true, encoding: .utf8)
            let child = try ChildProcess(
                "nutcracker",
                [
                    "-c", file.path, "-a", "127.0.0.1", "-s", "\(try MemcachedProcess.freePort())",
                    "-o", folder.appending(path: "log").path,
                ])
            if child.lives(until: { MemcachedProcess.canConnect(toPort: port) }) { return (address, child) }
            child.kill()
        }
        throw MemcachedProcess.StartFailure(description: "nutcracker does not accept connections: is it installed?")
    }

    deinit { stop() }

    /// Kills the proxy and its servers.
    package func stop() {
        child.withLock { child in
            child?.kill()
            child = nil
        }
        for server in servers { server.stop() }
        try? FileManager.default.removeItem(at: folder)
    }
}
