import Synchronization

/// The flights of this process, by the tokens that stand in the store.
final class FlightTable: Sendable {
    /// What this process knows of the load that a token names.
    enum State: Sendable {
        /// It is not one of this process, or of long ago.
        case unknown
        /// It is running, or its lease is being taken.
        case loading(any AnyFlight)
        /// The loader has returned, and its value is being stored.
        case landed(any AnyFlight)
        /// It has ended a short while ago: what stands in the store is another item by now.
        case ended
        /// It has ended, or its lease has, and the register may carry its token still. Nobody has to wait for it.
        case orphaned
    }

    private struct Table {
        /// Flights whose lease is being taken, at most one for each key: one attempt serves all callers.
        var starting: [StoreKey: any AnyFlight] = [:]
        var states: [LoadToken: State] = [:]
        /// The tokens of those that ended last, each written over the oldest.
        var ended: [LoadToken] = []
        var nextEnded = 0

        mutating func started(_ flight: any AnyFlight) {
            let key = flight.entry.key
            if starting[key]?.acquisition.token == flight.acquisition.token { starting[key] = nil }
        }

        mutating func remember(_ token: LoadToken) {
            if ended.count < FlightTable.rememberedEnds { ended.append(token) } else { ended[nextEnded] = token }
            nextEnded = (nextEnded + 1) % FlightTable.rememberedEnds
        }
    }

    /// As many as calls go on with together. A call that finds no more of the load that ended after its read pauses, as
    /// if the load were another process's.
    static let rememberedEnds = 256

    private let table = Mutex(Table())

    /// Enters a flight that is about to take the lease, unless another one of its key already is: then that one is
    /// returned.
    func enter(_ flight: any AnyFlight) -> (any AnyFlight)? {
        table.withLock { table in
            if let other = table.starting[flight.entry.key] { return other }
            table.starting[flight.entry.key] = flight
            // Entered here before its token is in the store, so that whoever reads the token there finds the flight.
            table.states[flight.acquisition.token] = .loading(flight)
            return nil
        }
    }

    /// The lease of a flight is won: the next attempt on its key may begin.
    func started(_ flight: any AnyFlight) { table.withLock { $0.started(flight) } }

    /// The load is over, and the fill begins.
    func landed(_ flight: any AnyFlight) {
        table.withLock { table in
            // Unless its lease was over before.
            guard case .loading = table.states[flight.acquisition.token] else { return }
            table.states[flight.acquisition.token] = .landed(flight)
        }
    }

    /// The flight never took off: nobody is to find it any more.
    func leave(_ flight: any AnyFlight) {
        table.withLock { table in
            table.started(flight)
            table.states[flight.acquisition.token] = nil
        }
    }

    /// The flight is over, and its token stands in the store no more.
    func end(_ flight: any AnyFlight) {
        table.withLock { table in
            table.started(flight)
            table.states[flight.acquisition.token] = nil
            table.remember(flight.acquisition.token)
        }
    }

    /// The flight is over, or its lease is, and its token may stand in the store until it is told to be gone.
    func orphan(_ flight: any AnyFlight) {
        table.withLock { table in
            table.started(flight)
            table.states[flight.acquisition.token] = .orphaned
        }
    }

    /// A token that may have stood in the store does so no longer, or its lease is over.
    func forget(_ token: LoadToken) {
        table.withLock { table in
            table.states[token] = nil
            table.remember(token)
        }
    }

    /// What this process knows of the load that a token names.
    ///
    /// The caller read the token in the store, so the store vouches for that load. That the stamps beside it are those
    /// that the caller read is one of the rules of ``ReadMachine``.
    func state(of token: LoadToken) -> State {
        table.withLock { $0.states[token] ?? ($0.ended.contains(token) ? .ended : .unknown) }
    }

    /// All that are loading.
    var loading: [any AnyFlight] {
        table.withLock { table in
            table.states.values.compactMap { if case .loading(let flight) = $0 { flight } else { nil } }
        }
    }
}
