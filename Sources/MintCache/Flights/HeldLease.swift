import Synchronization

/// Whether a lease may be prolonged: never at the same time as the fill, which it would make miss its CAS id.
final class HeldLease: Sendable {
    private struct State {
        var isPutDown = false
        var prolongation: Promise<Void>?
        /// What is to be called off when the load is over.
        var tickets: [Deadlines.Ticket] = []
    }

    private let state = Mutex(State())

    /// Begins a prolongation; `nil` when the load is over.
    func beginProlongation() -> Promise<Void>? {
        state.withLock { state in
            guard !state.isPutDown else { return nil }
            let prolongation = Promise<Void>()
            state.prolongation = prolongation
            return prolongation
        }
    }

    /// Keeps a ticket until the load is over, and says whether it is not.
    func keep(_ ticket: Deadlines.Ticket) -> Bool {
        state.withLock { state in
            guard !state.isPutDown else { return false }
            state.tickets.append(ticket)
            return true
        }
    }

    /// The load is over: returns when no prolongation is under way or can begin any more.
    func putDown(_ deadlines: Deadlines) async {
        guard !PlantedMistake.prolongDuringFill.isPlanted else { return }
        let (prolongation, tickets) = state.withLock { state in
            state.isPutDown = true
            return (state.prolongation, exchange(&state.tickets, with: []))
        }
        for ticket in tickets { deadlines.cancel(ticket) }
        try? await prolongation?.value()
    }
}
