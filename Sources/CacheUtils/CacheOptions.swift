import MintCache

/// The checked options of a cached function or key.
@usableFromInline
struct CacheOptions: Sendable {
    let groups: [StoreKey]
    let policy: CachePolicy

    init(
        ttl: Duration, policy: CachePolicy, groups: [String], nilFor: Duration?, in keys: KeySpace
    ) throws(CacheError) {
        try Self.check(ttl, "ttl", "how long a value is fresh")
        try Self.check(policy.leaseFor, "leaseFor", "longer than the slowest load takes")
        if let nilFor { try Self.check(nilFor, "nilFor", "how long a nil is fresh, or leave it out to cache no nil") }
        guard policy.staleFor >= .zero else {
            throw CacheError(
                .invalidDuration, "a staleFor of \(policy.staleFor) is negative: use zero to serve nothing stale")
        }
        var unique: [StoreKey] = []
        for name in groups {
            let group = try keys.key(ofGroup: name)
            if !unique.contains(group) { unique.append(group) }
        }
        guard unique.count <= 255 else {
            throw CacheError(.invalidKey, "\(unique.count) groups for one value: use at most 255")
        }
        self.groups = unique
        self.policy = policy
    }

    @usableFromInline
    func entry(_ key: StoreKey) -> CacheEntry {
        CacheEntry(key: key, groups: groups, policy: policy)
    }

    private static func check(_ duration: Duration, _ name: String, _ advice: String) throws(CacheError) {
        guard duration > .zero else {
            throw CacheError(.invalidDuration, "a \(name) of \(duration) is not positive: give \(advice)")
        }
    }
}
