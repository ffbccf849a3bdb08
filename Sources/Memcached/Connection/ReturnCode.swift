import CLibMemcached
import MintCache

/// A return code of libmemcached, and what it means for the connection and for the caller.
struct ReturnCode: Equatable, CustomStringConvertible {
    let rawValue: memcached_return_t

    init(_ rawValue: memcached_return_t) { self.rawValue = rawValue }

    var description: String {
        "\(String(cString: memcached_strerror(nil, rawValue))), code \(rawValue.rawValue)"
    }

    /// The connection broke or could not be made. What was asked may be asked again on a new one.
    var isDisconnect: Bool {
        switch rawValue {
        case MEMCACHED_CONNECTION_FAILURE, MEMCACHED_WRITE_FAILURE, MEMCACHED_READ_FAILURE,
            MEMCACHED_UNKNOWN_READ_FAILURE, MEMCACHED_ERRNO, MEMCACHED_HOST_LOOKUP_FAILURE:
            true
        default: false
        }
    }

    func error(from server: MemcachedServer) -> CacheError {
        switch rawValue {
        case MEMCACHED_TIMEOUT:
            CacheError(.timeout, "memcached at \(server) did not answer within the operation timeout")
        case MEMCACHED_E2BIG:
            CacheError(
                .valueTooLarge,
                "the value is over the item limit of memcached at \(server): cache less, or start it with a larger -I")
        case MEMCACHED_SERVER_TEMPORARILY_DISABLED, MEMCACHED_SERVER_MARKED_DEAD, MEMCACHED_NO_SERVERS:
            CacheError(.unavailable, "memcached at \(server) could not be reached a moment ago; it is tried again soon")
        case MEMCACHED_NOT_SUPPORTED:
            CacheError(.storeFailure, "memcached at \(server) sends no CAS ids: start it without -C")
        case _ where isDisconnect:
            CacheError(.unavailable, "memcached at \(server) cannot be reached: is it running? (\(self))")
        default:
            CacheError(.storeFailure, "memcached at \(server) failed: \(self)")
        }
    }
}
