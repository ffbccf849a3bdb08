import MintCache

/// The part of a schedule's policy that is about loads that fail, or take long, or are too many, and about a store that
/// cannot be asked.
struct Shield {
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
        self.policy = policy
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
