import MintCache
import Synchronization

/// A place in a program where a task stops until a test lets it go on.
package final class Gate: Sendable {
    private let reached = Promise<Void>()
    private let opened = Promise<Void>()

    package init() {}

    /// Stops here until the gate is open.
    package func pass() async throws {
        reached.resolve(.success(()))
        try await opened.value()
    }

    /// Returns as soon as a task stands at the gate.
    package func arrival() async throws { try await reached.value() }

    /// A gate that stands open.
    package static var opened: Gate {
        let gate = Gate()
        gate.open()
        return gate
    }

    package func open() { opened.resolve(.success(())) }
}

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
