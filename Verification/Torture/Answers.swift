import MintCache
import Synchronization

/// What the loaders throw now and then.
struct DatabaseFailure: Error {}

/// Whether a call was answered with a value that was held for when the store is away.
final class HeldAnswer: Sendable {
    @TaskLocal static var current: HeldAnswer?

    private let flag = Atomic(false)

    var isHeld: Bool { flag.load(ordering: .relaxed) }

    /// Tells the call in whose task it is called.
    struct Observer: CacheObserver {
        func record(_ event: CacheEvent) {
            if event.kind == .held { HeldAnswer.current?.flag.store(true, ordering: .relaxed) }
        }
    }
}

/// Counts the loads that run in a process.
final class RunningLoads: Sendable {
    private let count = Atomic(0)

    /// - Returns: how many run now.
    func begin() -> Int { count.add(1, ordering: .relaxed).newValue }

    func end() { count.subtract(1, ordering: .relaxed) }
}
