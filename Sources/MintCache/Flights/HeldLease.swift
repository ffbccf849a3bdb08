import Synchronization

/// How a lease stands in the store, and whether it may be prolonged: never at the same time as the fill, which it would
/// make miss its CAS id.
final class HeldLease: Sendable {
    private struct State {
        /// The register as this process has written it, where the store has told its CAS id.
        var standing: (envelope: Envelope, cas: StoreItem.CAS)?
        var isPutDown = false
        var prolongation: Promise<Void>?
        /// What is to be called off when the load is over.
        var tickets: [Deadlines.Ticket] = []
    }

    private let state = Mutex(State())

    /// Notes what was written under the lease, and its CAS id if the store has told it.
    func stands(as envelope: Envelope, _ cas: StoreItem.CAS?) {
        state.withLock { $0.standing = cas.map { (envelope, $0) } }
    }

    /// Takes what is known of the register; once, since what writes over it changes it.
    func takeStanding() -> (envelope: Envelope, cas: StoreItem.CAS)? { state.withLock { $0.standing.take() } }

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
