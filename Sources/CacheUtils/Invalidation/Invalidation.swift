import MintCache

/// Something to invalidate, as a value: what a change in the database makes outdated.
public struct Invalidation: Sendable {
    private enum Target {
        case name(String)
        case group(String)
        case call([StoreKey], String, ReadThroughCache)
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
        Invalidation(target: .call(try function.keys(repeat each arguments), function.name, function.engine))
    }

    /// What has to be invalidated in a cache, and the engine that does it.
    func targets(in cache: Cache) throws -> (targets: [InvalidationTarget], engine: ReadThroughCache) {
        switch target {
        case .name(let name): (try cache.keys.keys(named: name).map { .value($0) }, cache.engine)
        case .group(let name):
            (
                try cache.engine.targets(ofGroup: cache.keys.key(ofGroup: name))
                    + cache.keys.firstEditionKeys(ofGroup: name).map { .value($0) }, cache.engine
            )
        case .call(let keys, let function, let engine): (keys.map { .value($0, of: function) }, engine)
        }
    }
}
