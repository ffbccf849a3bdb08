#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import CLibMemcached
import MintCache

/// Makes `memcached_st` handles from scratch: clones lose settings.
enum HandleFactory {
    /// A handle with behaviours set first and servers added then, so that none is set on a live connection.
    static func makeHandle(
        _ servers: [(endpoint: MemcachedServer.Endpoint, weight: UInt32)], behaviors: [(memcached_behavior_t, UInt64)]
    ) throws(CacheError) -> UnsafeMutablePointer<memcached_st> {
        guard let handle = memcached_create(nil) else {
            throw CacheError(.storeFailure, "libmemcached could not allocate a handle")
        }
        for (behavior, value) in behaviors {
            try check(memcached_behavior_set(handle, behavior, value), handle, "set behaviour \(behavior.rawValue)")
        }
        for (endpoint, weight) in servers {
            let added =
                switch endpoint {
                case .tcp(let host, let port):
                    memcached_server_add_with_weight(handle, host, in_port_t(port), weight)
                case .unix(let path):
                    memcached_server_add_unix_socket_with_weight(handle, path, weight)
                }
            try check(added, handle, "add the server \(endpoint)")
        }
        return handle
    }

    /// What the library rounds the size of a value up by, and more.
    private static let slack = 64 * 1024

    /// Has the library make no room for more than a value of so many bytes: it believes whatever length an answer claims.
    static func limitAllocations(of handle: UnsafeMutablePointer<memcached_st>, to largestValue: Int) {
        let limit = UnsafeMutableRawPointer(bitPattern: largestValue + slack)
        memcached_set_memory_allocators(
            handle,
            { _, size, limit in HandleFactory.isWithin(limit, size) ? malloc(size) : nil },
            { _, memory, _ in free(memory) },
            { _, memory, size, limit in HandleFactory.isWithin(limit, size) ? realloc(memory, size) : nil },
            { _, count, size, limit in
                let (product, overflow) = count.multipliedReportingOverflow(by: size)
                return !overflow && HandleFactory.isWithin(limit, product) ? calloc(count, size) : nil
            },
            limit)
    }

    /// Whether a size is within a limit. One of the upper half of what C has is negative here.
    private static func isWithin(_ limit: UnsafeMutableRawPointer?, _ size: Int) -> Bool {
        (0...Int(bitPattern: limit)).contains(size)
    }

    private static func check(
        _ code: memcached_return_t, _ handle: UnsafeMutablePointer<memcached_st>, _ what: String
    ) throws(CacheError) {
        guard code != MEMCACHED_SUCCESS else { return }
        memcached_free(handle)
        throw CacheError(.invalidServer, "libmemcached could not \(what): \(ReturnCode(code))")
    }
}
