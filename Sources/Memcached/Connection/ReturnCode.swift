import CLibMemcached
import MintCache

/// A return code of libmemcached, and what it means for the connection and for the caller.
struct ReturnCode: Equatable, CustomStringConvertible {
    let rawValue: memcached_return_t

    init(_ rawValue: memcached_return_t) { self.rawValue = rawValue }

    static let success = ReturnCode(MEMCACHED_SUCCESS)

    var description: String {
        "\(String(cString: memcached_strerror(nil, rawValue))), code \(rawValue.rawValue)"
    }

    /// The connection broke or could not be made. What was asked may be asked again on a new one.
    var isDisconnect: Bool {
        switch rawValue {
        case MEMCACHED_CONNECTION_FAILURE, MEMCACHED_WRITE_FAILURE, MEMCACHED_READ_FAILURE,
            MEMCACHED_UNKNOWN_READ_FAILURE, MEMCACHED_ERRNO, MEMCACHED_HOST_LOOKUP_FAILURE,
            MEMCACHED_SERVER_TEMPORARILY_DISABLED, MEMCACHED_SERVER_MARKED_DEAD:
            true
        default: false
        }
    }

    var isTimeout: Bool { rawValue == MEMCACHED_TIMEOUT }

    /// Whether a write took place; `nil` when that was no answer to a write.
    var tookPlace: Bool? {
        switch rawValue {
        case MEMCACHED_SUCCESS, MEMCACHED_STORED, MEMCACHED_DELETED: true
        case MEMCACHED_NOTSTORED, MEMCACHED_DATA_EXISTS, MEMCACHED_NOTFOUND: false
        default: nil
        }
    }

    /// The server refused a write, and the connection is in step.
    var isRefusal: Bool { rawValue == MEMCACHED_E2BIG || rawValue == MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE }

    /// The error of an operation on a connection that had worked.
    func error(from server: MemcachedServer) -> CacheError {
        switch rawValue {
        case MEMCACHED_TIMEOUT: Self.timeout(server)
        case MEMCACHED_E2BIG:
            CacheError(
                .valueTooLarge,
                "the value is over the item limit of memcached at \(server): cache less, or start it with a larger -I")
        case MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE:
            CacheError(
                .storeFailure,
                "memcached at \(server) is full and evicts nothing (-M), or had no room for a large value at this moment"
            )
        case MEMCACHED_MEMORY_ALLOCATION_FAILURE:
            CacheError(
                .storeFailure,
                "memcached at \(server) has a value of more bytes than the store's configuration allows: raise its "
                    + "maximumValue, or cache less")
        case MEMCACHED_CLIENT_ERROR:
            CacheError(
                .storeFailure,
                "memcached at \(server) refuses the command: if it wants authentication (-Y), give the store one")
        case MEMCACHED_NOT_SUPPORTED:
            CacheError(.storeFailure, "memcached at \(server) sends no CAS ids: start it without -C")
        case _ where isDisconnect:
            CacheError(.unavailable, "memcached at \(server) cannot be reached: is it running? (\(self))")
        default:
            CacheError(.storeFailure, "memcached at \(server) failed: \(self)")
        }
    }

    /// The error of a new connection's first command, which says what its likely cause is.
    ///
    /// - Parameter wasAccepted: whether the server had accepted the connection.
    func openingError(from server: MemcachedServer, isAuthenticating: Bool, wasAccepted: Bool) -> CacheError {
        switch rawValue {
        case MEMCACHED_CLIENT_ERROR, MEMCACHED_AUTH_FAILURE, MEMCACHED_AUTH_PROBLEM:
            CacheError(
                .unavailable,
                isAuthenticating
                    ? "memcached at \(server) does not accept this user and password"
                    : "memcached at \(server) wants authentication (-Y): give the store a user and a password")
        case MEMCACHED_TIMEOUT:
            CacheError(
                .timeout,
                "memcached at \(server) does not answer: it hangs, cannot be reached, has no connection left "
                    + "(-c with no_maxconns_fast), or speaks the binary protocol only (-B binary, -S)")
        case MEMCACHED_ERROR, MEMCACHED_PROTOCOL_ERROR,
            _ where isDisconnect && wasAccepted:
            CacheError(
                .unavailable,
                "memcached at \(server) closes new connections: it has no connection left, which -c sets, or is no "
                    + "memcached (\(self))")
        default: error(from: server)
        }
    }

    static func timeout(_ server: MemcachedServer) -> CacheError {
        CacheError(.timeout, "memcached at \(server) did not answer within the operation timeout")
    }
}
