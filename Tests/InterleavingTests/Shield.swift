import MintCache

/// The part of a schedule's policy that is about loads that fail, or take long, or are too many, about values that are
/// refreshed early, and about a store that cannot be asked.
struct Shield: CustomStringConvertible {
    let policy: CachePolicy

    /// - Parameter servesExpired: whether what was expired may be served.
    init(_ choices: inout Choices, servesExpired: Bool) {
        var policy = CachePolicy()
        if choices.oneIn(3) {
            let keeps = servesExpired && choices.oneIn(2)
            policy.staleIfError = .init(for: .seconds(60)) { _ in keeps }
        }
        if choices.oneIn(4) { policy.maximumLoads = 1 }
        if choices.oneIn(4) {
            policy.loadTimeout = .init(soft: choices.oneIn(2) ? .seconds(2) : nil, hard: .seconds(4))
        }
        if choices.oneIn(4) { policy.whenAway = .serveHeld(for: .seconds(30)) }
        // Always, since nothing here is by chance.
        if choices.oneIn(4) { policy.earlyRefresh = .byChance(beta: .infinity) }
        self.policy = policy
    }

    var description: String {
        let kept = policy.staleIfError.duration > .zero ? policy.keepsAnyError ? "errors keep" : "errors replace" : nil
        return [
            kept, policy.maximumLoads.map { "at most \($0) load" },
            policy.loadTimeout == .none ? nil : "soft \(policy.loadTimeout.soft ?? .zero), hard time-out",
            policy.whenAway == .load ? nil : "values are held", policy.earlyRefresh == .none ? nil : "early",
        ].compactMap(\.self).joined(separator: ", ")
    }

    /// Whether a call may fail with an error, for this policy.
    func explains(_ error: any Error) -> Bool {
        switch (error as? CacheError)?.code {
        case .tooManyLoads: policy.maximumLoads != nil
        case .loadTimeout: policy.loadTimeout != .none
        default: false
        }
    }
}

/// Counts the answers of a process that were held for when the store is away.
final class HeldAnswers: CacheObserver, @unchecked Sendable {
    // @unchecked: all of it happens on one thread.
    private(set) var count = 0

    func record(_ event: CacheEvent) {
        if event.kind == .held { count += 1 }
    }
}

extension CachePolicy {
    fileprivate var keepsAnyError: Bool { staleIfError.includes(CancellationError()) }
}
