import Synchronization

/// A result that is set once and awaited by any number of tasks, each of which can be cancelled by itself.
package final class Promise<Value: Sendable>: Sendable {
    private typealias Waiter = CheckedContinuation<Value, any Error>

    private struct State {
        var result: Result<Value, any Error>?
        var waiters: [Int: Waiter] = [:]
        var nextWaiter = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// Sets the result and resumes all who wait. Later results are ignored.
    package func resolve(_ result: Result<Value, any Error>) {
        let waiters = state.withLock { state -> [Int: Waiter] in
            guard state.result == nil else { return [:] }
            state.result = result
            return exchange(&state.waiters, with: [:])
        }
        // In the order in which they came.
        for waiter in waiters.sorted(by: { $0.key < $1.key }) { waiter.value.resume(with: result) }
    }

    /// The result, as soon as there is one.
    ///
    /// - Throws: `CancellationError` as soon as the waiting task is cancelled; the others go on waiting.
    package func value() async throws -> Value {
        let number = state.withLock { state in
            defer { state.nextWaiter += 1 }
            return state.nextWaiter
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { waiter in
                let result = state.withLock { state -> Result<Value, any Error>? in
                    if let result = state.result { return result }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    state.waiters[number] = waiter
                    return nil
                }
                if let result { waiter.resume(with: result) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: number) }
            waiter?.resume(throwing: CancellationError())
        }
    }
}
