import MintCache

/// Something to invalidate, as a value: what a change in the database makes outdated.
public struct Invalidation: Sendable {
    private enum Target {
        case name(String)
        case group(String)
        case call(StoreKey, ReadThroughCache)
    }

    private let target: Target

    /// The value that ``Cache/value(forKey:ttl:staleFor:leaseFor:refresh:groups:nilFor:policy:load:)`` cached under a
    /// key.
    public static func key(_ name: String) -> Invalidation { Invalidation(target: .name(name)) }

    /// Every value in a group.
    public static func group(_ name: String) -> Invalidation { Invalidation(target: .group(name)) }

    /// The result of a cached function for exactly these arguments, in the cache that the function is of.
    ///
    /// - Throws: ``CacheError`` with code `invalidKey`.
    public static func call<each Argument, Value>(
        _ function: CachedFunction<repeat each Argument, Value>, _ arguments: repeat each Argument
    ) throws -> Invalidation {
        Invalidation(target: .call(try function.key(repeat each arguments), function.engine))
    }

    /// Invalidates, and should that fail, again and again in the background.
    ///
    /// - Parameter whenDone: is told when it has been sent, or was given up.
    func insist(in cache: Cache, whenDone: @escaping @Sendable (_ isSent: Bool) -> Void) async throws {
        switch target {
        case .name(let name):
            try await cache.engine.insistOnInvalidating(cache.keys.key(named: name), whenDone: whenDone)
        case .group(let name):
            try await cache.engine.insistOnInvalidating(group: cache.keys.key(ofGroup: name), whenDone: whenDone)
        case .call(let key, let engine):
            try await engine.insistOnInvalidating(key, whenDone: whenDone)
        }
    }
}
