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

    /// Why a connection could not be opened.
    private struct Failure: Error {
        var error: CacheError
        /// Whether another address may do.
        var isOfAddress: Bool
    }

    /// Opens a connection at the server's address, or at the next one of its name that accepts it.
    func open() throws(CacheError) -> (Handle, ServerAddress.Attempt) {
        var attempt = try address { () throws in try state.address.current() }
        while true {
            do throws(Failure) {
                return (try connect(attempt), attempt)
            } catch {
                // The others move on too, even if there is no time left here.
                guard error.isOfAddress, let next = state.address.moveOn(from: attempt) else { throw error.error }
                // It is another server there, for all that is known.
                state.forgetCheck()
                guard Ticks.now < end else { throw error.error }
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

    /// Makes the check of the server, which has a connection already, if it can be made.
    func checkAgain() throws(CacheError) {
        let attempt = try address { () throws in try state.address.current() }
        inspect(attempt)
        guard state.casCheck != .failed else { throw CASCheck.error(state.server) }
    }

    /// Whether there is as much time as connecting may take.
    var hasTime: Bool { left >= min(settings.connectTimeout, settings.operationTimeout / 2) }

    private func connect(_ attempt: ServerAddress.Attempt) throws(Failure) -> Handle {
        let handle = try greeted(attempt, timeout: settings.operationTimeout)
        if state.casCheck != .passed, left > settings.operationTimeout / 2 { inspect(attempt) }
        guard state.casCheck != .failed else {
            throw Failure(error: CASCheck.error(state.server), isOfAddress: false)
        }
        handle.pollTimeout = max(1, settings.operationTimeout / 1_000_000)
        handle.setAcknowledged(settings.isAcknowledged)
        return handle
    }

    /// How many nanoseconds there are left.
    private var left: UInt64 {
        let now = Ticks.now
        return end > now ? end - now : 0
    }

    /// A connection on which the server has answered.
    private func greeted(_ attempt: ServerAddress.Attempt, timeout: UInt64) throws(Failure) -> Handle {
        let hadTime = hasTime
        guard left > 1_000_000 else { throw Failure(error: ReturnCode.timeout(state.server), isOfAddress: false) }
        let timeout = max(1, min(left, timeout) / 1_000_000)
        let handle: Handle
        do throws(CacheError) {
            handle = try Handle(
                state.server, host: attempt.host, pollTimeout: timeout,
                connectTimeout: min(timeout, max(1, settings.connectTimeout / 1_000_000)),
                largestValue: settings.largestValue)
        } catch { throw Failure(error: error, isOfAddress: false) }
        let code = firstCommand(handle)
        guard code != .success else { return handle }
        // The library says the same of a connection that was refused and of one that was closed.
        let reason = memcached_last_error_errno(handle.memcached)
        let error = code.openingError(
            from: state.server, isAuthenticating: settings.authentication != nil,
            wasAccepted: ![ECONNREFUSED, ENOENT, EHOSTUNREACH, ENETUNREACH].contains(reason))
        throw Failure(error: error, isOfAddress: code.isDisconnect || (code.isTimeout && hadTime))
    }

    /// Finds out about the server's CAS ids, and whether there is a proxy before it: nutcracker closes the connection
    /// when it is asked for statistics. On a connection of its own, on which nothing else is asked after something went
    /// wrong.
    private func inspect(_ attempt: ServerAddress.Attempt) {
        // It has some eight answers.
        guard let handle = try? greeted(attempt, timeout: min(Self.longestInspection, left / 8)) else { return }
        let result = CASCheck.run(on: handle)
        guard result == .passed else { return state.note(result, of: attempt.generation) }
        var lines = 0
        let count: memcached_stat_fn = { _, _, _, _, _, lines in
            lines?.assumingMemoryBound(to: Int.self).pointee += 1
            return MEMCACHED_SUCCESS
        }
        // It says that all went well, too, when the connection was closed.
        memcached_stat_execute(handle.memcached, nil, count, &lines)
        state.note(.passed, isProxied: lines == 0, of: attempt.generation)
    }

    /// How many nanoseconds to wait for each of its answers.
    private static let longestInspection: UInt64 = 200_000_000

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
