#if Configuration
public import Configuration
public import Logging
import MintCache

extension Cache {
    /// Makes a cache from a configuration.
    ///
    /// ## Configuration keys
    /// - `namespace` (string, required): the application.
    /// - `version` (string, `1`): the version of what is cached.
    /// - `invalidatesAlso` (string array): other versions whose values are invalidated along.
    /// - `canInvalidateAll` (bool, false): whether ``invalidateAll()`` can be used.
    /// - `warmGroupCount` (int, 0): of how many groups the stamps are kept warm.
    /// - `decodedCapacity` (int, 67108864): how many bytes decoded values may take.
    /// - `repeatsInvalidationsFor` (int, 86400000): for how many milliseconds an invalidation that has failed is repeated.
    /// - `isDisabled` (bool): whether every call is its loader's; by default the environment variable `SWIFT_CACHE_DISABLED`
    ///   says so.
    /// - `policy.…`: the keys of `CachePolicy.init(config:)`, for functions and values that are given none of their own.
    ///
    /// - Throws: ``MintCache/CacheError`` with code `invalidConfiguration` without a namespace, or for a value that cannot be
    ///   read.
    public init(
        store: any CacheStore, config: ConfigReader, observer: (any CacheObserver)? = nil,
        instrumentation: CacheInstrumentation = CacheInstrumentation(), logger: Logger? = nil
    ) throws {
        guard let namespace = try config.checkedString("namespace") else {
            throw CacheError(
                .invalidConfiguration, "the configuration has no namespace: give the name of the application")
        }
        self.init(
            store: store, namespace: namespace, version: try config.checkedString("version") ?? "1",
            invalidatesAlso: try config.checkedStrings("invalidatesAlso") ?? [],
            canInvalidateAll: try config.checkedBool("canInvalidateAll") ?? false,
            warmGroupCount: try config.checkedInt("warmGroupCount") ?? 0,
            policy: try CachePolicy(config: config.scoped(to: "policy")), observer: observer,
            instrumentation: instrumentation, logger: logger,
            decodedCapacity: try config.checkedInt("decodedCapacity") ?? 64 << 20,
            isDisabled: try config.checkedBool("isDisabled") ?? Self.isDisabledByEnvironment,
            repeatsInvalidationsFor: try config.checkedDuration("repeatsInvalidationsFor") ?? .seconds(86_400))
    }
}
#endif
