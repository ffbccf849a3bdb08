import Synchronization

/// Counts the queries and how many of them ran for one city at once.
final class LoadJournal: Sendable {
    private struct State {
        var queries = 0
        var running: [String: Int] = [:]
        var mostAtOnce = 0
    }

    private let state = Mutex(State())

    /// The number of queries so far.
    var queries: Int { state.withLock(\.queries) }

    func begin(_ name: String) -> Int {
        state.withLock { state in
            state.queries += 1
            state.running[name, default: 0] += 1
            state.mostAtOnce = max(state.mostAtOnce, state.running[name, default: 0])
            return state.queries
        }
    }

    func end(_ name: String) {
        state.withLock { $0.running[name, default: 1] -= 1 }
    }

    /// The most queries that ran for one city at once since the last call.
    func takeMostAtOnce() -> Int {
        state.withLock { state in
            defer { state.mostAtOnce = state.running.values.max() ?? 0 }
            return state.mostAtOnce
        }
    }
}
