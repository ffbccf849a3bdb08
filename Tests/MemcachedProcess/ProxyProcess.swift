import Foundation

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A nutcracker (twemproxy) in front of memcached servers, all of which a test started. It ends with ``stop()``.
package final class ProxyProcess: @unchecked Sendable {
    /// What a store is to be given.
    package private(set) var address = ""
    /// The servers behind it.
    package let servers: [MemcachedProcess]
    // @unchecked: the test that started the proxy is the only one to stop it.
    private var pid: pid_t = 0
    private var watchdog: pid_t = 0
    private let folder = FileManager.default.temporaryDirectory.appending(
        path: "cache-utils-proxy-\(UUID().uuidString)")

    /// Starts servers and a proxy in front of them, and waits until it accepts connections.
    ///
    /// - Parameter options: lines of the pool's configuration.
    package init(serverCount: Int, options: [String] = []) throws {
        servers = try (0..<serverCount).map { _ in try MemcachedProcess() }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        // A port that was free may be another program's by the time that the proxy wants it.
        for attempt in 1...5 {
            let port = try MemcachedProcess.freePort()
            address = "127.0.0.1:\(port)"
            if try start(port, options) { return }
            guard attempt < 5 else { break }
            end()
        }
        throw MemcachedProcess.StartFailure(description: "nutcracker does not accept connections: is it installed?")
    }

    private func start(_ port: UInt16, _ options: [String]) throws -> Bool {
        let file = folder.appending(path: "nutcracker.yml")
        let lines =
            [
                "pool:", "  listen: \(address)", "  hash: md5", "  distribution: ketama", "  auto_eject_hosts: false",
                "  timeout: 2000",
            ] + options.map { "  " + $0 } + ["  servers:"] + servers.map { "   - \($0.address):1" }
        try (lines.joined(separator: "\n") + "\n").write(to: file, atomically: true, encoding: .utf8)
        pid = try MemcachedProcess.spawn(
            "nutcracker",
            [
                "-c", file.path, "-a", "127.0.0.1", "-s", "\(try MemcachedProcess.freePort())",
                "-o", folder.appending(path: "log").path,
            ])
        let watch =
            "trap '' HUP INT TERM; while kill -0 \(getpid()) && kill -0 \(pid); do sleep 1; done; kill -9 \(pid)"
        watchdog = try MemcachedProcess.spawn("sh", ["-c", "{ \(watch); } 2>/dev/null"])
        for _ in 0..<5000 {
            usleep(2000)
            guard waitpid(pid, nil, WNOHANG) == 0 else { return false }
            if MemcachedProcess.canConnect(toPort: port) { return true }
        }
        return false
    }

    deinit { stop() }

    /// Kills the proxy and its servers.
    package func stop() {
        end()
        for server in servers { server.stop() }
        try? FileManager.default.removeItem(at: folder)
    }

    private func end() {
        for child in [watchdog, pid] where child > 0 {
            kill(child, SIGKILL)
            waitpid(child, nil, 0)
        }
        (watchdog, pid) = (0, 0)
    }
}
