import CLibMemcached
import MintCache

/// Which server has which key: libmemcached's own ketama-weighted ring, so that other libmemcached clients of the
/// same fleet with that setting agree.
///
/// The handle never connects. It is built once, and after that `memcached_generate_hash` only reads it.
// @unchecked: the handle is written in `init` and `deinit` only.
final class Ring: @unchecked Sendable {
    private let handle: UnsafeMutablePointer<memcached_st>
    private let serverCount: Int

    init(_ servers: [MemcachedServer]) throws {
        handle = try HandleFactory.makeHandle(
            servers.map { ($0.endpoint, $0.weight) }, behaviors: [(MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1)])
        serverCount = servers.count
    }

    deinit { memcached_free(handle) }

    /// The index of the server that has a key.
    func server(for key: StoreKey) -> Int {
        guard serverCount > 1 else { return 0 }
        return key.bytes.withUnsafeBytes {
            Int(memcached_generate_hash(handle, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count))
        }
    }
}
