import CLibMemcached
#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import MintCache

/// Opens a connection: finds an address that accepts it, has the server answer, authenticates and makes the check.
struct Opening {
    private let state: ServerState
    private let settings: Connection.Settings
    private let end: UInt64

    /// - Parameter end: when it is to be over.
    init(_ state: ServerState, _ settings: Connection.Settings, until end: UInt64) {
        self.state = state
        self.settings = settings
        self.end = end
    }

    /// Opens a connection at the server's address, or at the next one of its name that accepts it.
    func open() throws(CacheError) -> (Handle, ServerAddress.Attempt) {
        var attempt = try address { () throws in try state.address.current() }
        while true {
            do throws(CacheError) {
                return (try connect(attempt), attempt)
            } catch {
                guard error.code == .unavailable, Ticks.now < end, let next = state.address.moveOn(from: attempt) else {
                    throw error
                }
                attempt = next
            }
        }
    }

    private func address(
        _ body: () throws -> ServerAddress.Attempt
    ) throws(CacheError) -> ServerAddress.Attempt {
        do { return try body() } catch {
            throw error as? CacheError
                ?? CacheError(.unavailable, "the address of \(state.server) is not known", underlying: error)
        }
    }

    private func connect(_ attempt: ServerAddress.Attempt) throws(CacheError) -> Handle {
        let now = Ticks.now
        let left = max(1, (end > now ? end - now : 0) / 1_000_000)
        let operationTimeout = max(1, settings.operationTimeout / 1_000_000)
        let handle = try Handle(
            state.server, host: attempt.host, pollTimeout: min(left, operationTimeout),
            connectTimeout: min(left, max(1, settings.connectTimeout / 1_000_000)))
        let code = firstCommand(handle)
        if code != .success {
            // The library says the same of a connection that was refused and of one that was closed.
            let reason = memcached_last_error_errno(handle.memcached)
            throw code.openingError(
                from: state.server, isAuthenticating: settings.authentication != nil,
                wasAccepted: ![ECONNREFUSED, ENOENT, EHOSTUNREACH, ENETUNREACH].contains(reason))
        }
        if state.casCheck == .open {
            state.casCheck = CASCheck.run(on: handle)
            state.isProxied = try isProxy(attempt)
        }
        if state.casCheck == .failed { throw CASCheck.error(state.server) }
        handle.pollTimeout = operationTimeout
        handle.setAcknowledged(settings.isAcknowledged)
        return handle
    }

    /// Whether a proxy is between here and the server: nutcracker closes the connection when it is asked for
    /// statistics. It is asked on a connection of its own.
    private func isProxy(_ attempt: ServerAddress.Attempt) throws(CacheError) -> Bool {
        let timeout = max(1, min(settings.operationTimeout, Self.longestStatistics) / 1_000_000)
        let handle = try Handle(state.server, host: attempt.host, pollTimeout: timeout, connectTimeout: timeout)
        guard firstCommand(handle) == .success else { return false }
        var lines = 0
        let count: memcached_stat_fn = { _, _, _, _, _, lines in
            lines?.assumingMemoryBound(to: Int.self).pointee += 1
            return MEMCACHED_SUCCESS
        }
        // It says that all went well, too, when the connection was closed.
        memcached_stat_execute(handle.memcached, nil, count, &lines)
        return lines == 0
    }

    /// How many nanoseconds to wait for statistics.
    private static let longestStatistics: UInt64 = 200_000_000

    private func firstCommand(_ handle: Handle) -> ReturnCode {
        guard let authentication = settings.authentication else { return Self.greet(handle) }
        // With -Y the server takes the value of the first `set` for a user and a password, and stores nothing.
        guard let key = try? StoreKey("cache-utils:authentication") else { return ReturnCode(MEMCACHED_AUTH_FAILURE) }
        return handle.perform(.set(key, Array("\(authentication.user) \(authentication.password)".utf8), expiry: 0))
    }

    /// Has the server answer anything, once: the library keeps the answer, and does not ask again.
    private static func greet(_ handle: Handle) -> ReturnCode {
        var code = ReturnCode(memcached_version(handle.memcached))
        // It says only that something went wrong.
        if code.rawValue == MEMCACHED_SOME_ERRORS { code = ReturnCode(memcached_last_error(handle.memcached)) }
        // A proxy answers for a server of its own that it cannot reach.
        return code.rawValue == MEMCACHED_SERVER_ERROR ? .success : code
    }
}
