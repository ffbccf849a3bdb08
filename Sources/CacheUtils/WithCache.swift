import MintCache

/// Runs something with a cache and drains the cache after it, whatever came of it: for a script, which ends with it.
///
/// ```swift
/// try await withCache(Cache(store: store, namespace: "shop")) { cache in
///     try await importCities(with: cache)
/// }
/// ```
///
/// - Returns: what the body returns.
/// - Throws: what the body throws.
public func withCache<Result>(
    _ cache: Cache, _ body: (_ cache: Cache) async throws -> Result
) async rethrows -> Result {
    do {
        let result = try await body(cache)
        await cache.drain()
        return result
    } catch {
        await cache.drain()
        throw error
    }
}
