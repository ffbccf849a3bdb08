@_exported public import CacheUtils

/// Caches the results of a function: makes a cached function beside it, and leaves it alone.
///
/// ```swift
/// struct Cities: Sendable {
///     let cache: Cache
///     let database: Database
///
///     @Cached(ttl: .seconds(86_400), groups: ["cities", "country:{country}"])
///     func city(_ slug: String, country: String = "fr") async throws -> City {
///         try await database.city(slug, country)
///     }
/// }
///
/// let paris = try await cities.cityCached("paris")
/// try await cities.cityCache.invalidate("paris", "fr")
/// try await cities.cache.invalidate(group: "country:fr")
/// ```
///
/// Two declarations are made of a function `city`, with its access:
///
/// - `cityCached`, a method with the same parameters, labels and default values: a call is the same whether a value is written
///   or is the default;
/// - `cityCache`, the `CachedFunction`, for `invalidate`, `expire`, `refresh`, `peek`, `many` and `answer`. It is stored where
///   the function is global or static; else it is made anew each time, which costs less than a microsecond.
///
/// The key is made of the name and the arguments, and of nothing else: not of `self`, unless `keyedBy` says which part of it.
///
/// - Parameters:
///   - name: what the keys begin with: the names of the types that the function is in, and its own, unless it is given.
///   - in: the cache: what is called `cache` there unless it is given.
///   - ttl: how long a value is fresh.
///   - staleFor: how long after that it may be served while someone recomputes it.
///   - groups: the groups of every result. `{country}` in a literal stands for the argument of the parameter `country`, as it is
///     written in text.
///   - nilFor: how long a `nil` is fresh. Without it, `nil` is not cached.
///   - policy: all other options.
///   - keyedBy: what `self` adds to the key: `\.id`, or with its type, `\User.id`.
///   - hasHandle: whether the `CachedFunction` is made, too. Only one function of a name can have one: switch it off for the others.
@attached(peer, names: suffixed(Cached), suffixed(Cache))
public macro Cached(
    _ name: String? = nil, in cache: Cache? = nil, ttl: Duration? = nil, staleFor: Duration? = nil,
    groups: [String] = [], nilFor: Duration? = nil, policy: CachePolicy? = nil, keyedBy: AnyKeyPath? = nil,
    hasHandle: Bool = true
) = #externalMacro(module: "CacheMacrosPlugin", type: "CachedMacro")

/// The same with a key path without its type, `keyedBy: \.id`: that of `self`, which the compiler looks up in what the macro makes.
@attached(peer, names: suffixed(Cached), suffixed(Cache))
public macro Cached(
    _ name: String? = nil, in cache: Cache? = nil, ttl: Duration? = nil, staleFor: Duration? = nil,
    groups: [String] = [], nilFor: Duration? = nil, policy: CachePolicy? = nil,
    keyedBy: KeyPath<CachedSelf, CachedSelf>, hasHandle: Bool = true
) = #externalMacro(module: "CacheMacrosPlugin", type: "CachedMacro")

/// Stands for the type that a function of `@Cached` is in, which a macro's arguments cannot know: it has every member.
@dynamicMemberLookup
public struct CachedSelf {
    private init() {}

    /// Any member.
    public subscript(dynamicMember name: String) -> CachedSelf { self }
}
