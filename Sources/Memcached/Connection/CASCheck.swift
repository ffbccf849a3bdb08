import CLibMemcached
import MintCache

/// Finds out whether a server's CAS ids are good for the key protocol: an id must never come again for a key, or an old
/// `cas` would land on another's item.
///
/// Under a random key that begins with `cache-utils:check:`, lives for two seconds and is deleted, it adds an item,
/// deletes it and adds it again: the two have different ids on memcached, and not on servers that count for each key or
/// not at all.
enum CASCheck {
    enum Result: Equatable {
        /// It has not been made, or could not be.
        case open
        case passed
        /// Two ids were the same, or 0.
        case failed
    }

    static func run(on handle: Handle) -> Result {
        var keys = KeyBatch()
        let text = "cache-utils:check:" + String(UInt64.random(in: .min ... .max), radix: 36)
        guard let key = try? StoreKey(text) else { return .open }
        _ = keys.index(of: key)
        var ids: [UInt64] = []
        // A second at least: memcached counts whole ones from its last tick, and 1 could be over at once.
        for _ in 1...2 {
            guard handle.perform(.add(key, [1], expiry: 2)).tookPlace == true,
                handle.ask(for: 0..<1, of: keys) == .success,
                handle.fetch().hasItem
            else { return .open }
            ids.append(memcached_result_cas(handle.result))
            guard handle.fetch().code == .success, handle.perform(.delete(key)).tookPlace != nil else { return .open }
        }
        return ids[0] == ids[1] || ids.contains(0) ? .failed : .passed
    }

    static func error(_ server: MemcachedServer) -> CacheError {
        CacheError(
            .storeFailure,
            "the server at \(server) gives CAS ids that come again, or none: an invalidated value could come back. Use "
                + "memcached, without -C")
    }
}
