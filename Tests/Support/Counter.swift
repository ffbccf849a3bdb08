package import CacheUtilsTesting
import Synchronization

/// A number that tasks count up.
package final class Counter: Sendable {
    private let count = Atomic(0)

    package init() {}

    package var value: Int { count.load(ordering: .sequentiallyConsistent) }

    @discardableResult
    package func increment() -> Int { count.add(1, ordering: .sequentiallyConsistent).newValue }

    package func add(_ number: Int) { count.add(number, ordering: .sequentiallyConsistent) }

    package func decrement() { count.subtract(1, ordering: .sequentiallyConsistent) }

    /// What a loader does that returns how often it was called, and whose first call stops at a gate.
    package func next(firstWaitsAt gate: Gate) async throws -> Int {
        let number = increment()
        if number == 1 { try await gate.pass() }
        return number
    }
}

/// Gives way to other tasks until something is so. It waits for tasks to run and, when that alone does not bring it about,
/// looks again every millisecond: the other tests need the processor.
package func eventually(_ condition: () async throws -> Bool) async throws {
    var looks = 0
    while try await !condition() {
        try Task.checkCancellation()
        await Task.yield()
        looks += 1
        if looks > 1000 { try await Task.sleep(for: .milliseconds(1)) }
    }
}
