import MintCache

/// What `cached` and `value(forKey:)` are given beside a policy.
struct FunctionTerms: Equatable, Sendable {
    var ttl: Duration?
    var staleFor: Duration?
    var leaseFor: Duration?
    var refresh: CachePolicy.Refresh?
    var groups: [String] = []
    var nilFor: Duration?

    /// A policy in which what is given beside it counts.
    func merged(into policy: CachePolicy) -> CachePolicy {
        var policy = policy
        if let ttl { policy.ttl = ttl }
        if let staleFor { policy.staleFor = staleFor }
        if let leaseFor { policy.leaseFor = leaseFor }
        if let refresh { policy.refresh = refresh }
        if let nilFor { policy.nilFor = nilFor }
        return policy
    }
}
