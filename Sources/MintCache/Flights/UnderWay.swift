import Synchronization

/// What is under way in the background, and has to end before a process may.
final class UnderWay: Sendable {
    private struct State {
        var count = 0
        var waiters: [Promise<Void>] = []
    }

    private let state = Mutex(State())

    func begin() { state.withLock { $0.count += 1 } }

    func end() {
        let waiters = state.withLock { state -> [Promise<Void>] in
            state.count -= 1
            return state.count == 0 ? exchange(&state.waiters, with: []) : []
        }
        for waiter in waiters { waiter.resolve(.success(())) }
    }

    /// Resolved when nothing is under way.
    func idle() -> Promise<Void> {
        let promise = Promise<Void>()
        let isIdle = state.withLock { state in
            if state.count > 0 { state.waiters.append(promise) }
            return state.count == 0
        }
        if isIdle { promise.resolve(.success(())) }
        return promise
    }
}
