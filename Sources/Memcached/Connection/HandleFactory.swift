import CLibMemcached
import MintCache

/// Makes `memcached_st` handles from scratch: clones lose settings.
enum HandleFactory {
    /// A handle with behaviours set first and servers added then, so that none is set on a live connection.
    static func makeHandle(
        _ servers: [MemcachedServer], behaviors: [(memcached_behavior_t, UInt64)]
    ) throws -> UnsafeMutablePointer<memcached_st> {
        guard let handle = memcached_create(nil) else {
            throw CacheError(.storeFailure, "libmemcached could not allocate a handle")
        }
        for (behavior, value) in behaviors {
            try check(memcached_behavior_set(handle, behavior, value), handle, "set behaviour \(behavior.rawValue)")
        }
        for server in servers {
            let added =
                switch server.endpoint {
                case .tcp(let host, let port):
                    memcached_server_add_with_weight(handle, host, in_port_t(port), server.weight)
                case .unix(let path):
                    memcached_server_add_unix_socket_with_weight(handle, path, server.weight)
                }
            try check(added, handle, "add the server \(server)")
        }
        return handle
    }

    private static func check(
        _ code: memcached_return_t, _ handle: UnsafeMutablePointer<memcached_st>, _ what: String
    ) throws {
        guard code != MEMCACHED_SUCCESS else { return }
        memcached_free(handle)
        throw CacheError(.invalidServer, "libmemcached could not \(what): \(ReturnCode(code))")
    }
}
