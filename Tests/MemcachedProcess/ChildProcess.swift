import Foundation

#if canImport(Darwin)
package import Darwin
#elseif canImport(Glibc)
package import Glibc
#elseif canImport(Musl)
package import Musl
#endif

/// A program that a test started. It ends with ``kill()``, and in any case with this process, even a killed one: a
/// shell beside it looks every second whether this process is still there.
package struct ChildProcess: Sendable {
    private let pid: pid_t
    private let watchdog: pid_t

    package init(_ program: String, _ arguments: [String]) throws {
        let pid = try Self.spawn(program, arguments)
        // It outlives what ends the whole group of processes.
        let watch =
            "trap '' HUP INT TERM; while kill -0 \(getpid()) && kill -0 \(pid); do sleep 1; done; kill -9 \(pid)"
        self.pid = pid
        watchdog = try Self.spawn("sh", ["-c", "{ \(watch); } 2>/dev/null"])
    }

    /// Waits until something is so, ten seconds at most; no longer than the program runs, without which another one's
    /// doing would be taken for its own.
    func lives(until isSo: () -> Bool) -> Bool {
        for _ in 0..<5000 {
            usleep(2000)
            guard waitpid(pid, nil, WNOHANG) == 0 else { return false }
            if isSo() { return true }
        }
        return false
    }

    /// Kills it, as `kill -9` does, once.
    package func kill() {
        for child in [watchdog, pid] {
            send(SIGKILL, to: child)
            waitpid(child, nil, 0)
        }
    }

    /// Stops it without ending it.
    package func suspend() {
        send(SIGSTOP, to: pid)
        // The signal takes effect some time after it was sent; this returns when it has.
        waitpid(pid, nil, WUNTRACED)
    }

    /// Lets it go on.
    package func resume() { send(SIGCONT, to: pid) }

    /// Starts a program that nobody watches.
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
            throw MemcachedProcess.StartFailure(
                description: "\(program) could not be started (error \(code)): is it installed?")
        }
        return pid
    }

    private func send(_ signal: Int32, to child: pid_t) {
        #if canImport(Darwin)
        _ = Darwin.kill(child, signal)
        #elseif canImport(Glibc)
        _ = Glibc.kill(child, signal)
        #else
        _ = Musl.kill(child, signal)
        #endif
    }
}
