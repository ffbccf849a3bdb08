import Synchronization

/// The flights of this process.
final class FlightTable: Sendable {
    private struct State {
        /// Flights whose lease is being taken, at most one for each key: one attempt serves all callers.
        var starting: [StoreKey: any AnyFlight] = [:]
        /// Flights by the token that stands in the store while they run.
        var flying: [LoadToken: any AnyFlight] = [:]
        /// The tokens of those that ended last, each written over the oldest.
        var ended: [LoadToken] = []
        var nextEnded = 0

        mutating func remember(_ token: LoadToken) {
            if ended.count < FlightTable.rememberedEnds { ended.append(token) } else { ended[nextEnded] = token }
            nextEnded = (nextEnded + 1) % FlightTable.rememberedEnds
        }
    }

    /// As many as calls go on with together. A call that finds no more of the load that ended after its read pauses, as
    /// if the load were another process's.
    static let rememberedEnds = 256

    private let state = Mutex(State())

    /// Enters a flight that is about to take the lease, unless another one of its key already is: then that one is
    /// returned.
    func enter(_ flight: any AnyFlight) -> (any AnyFlight)? {
        state.withLock { state in
            if let other = state.starting[flight.key] { return other }
            state.starting[flight.key] = flight
            // Entered here before its token is in the store, so that whoever reads the token there finds the flight.
            state.flying[flight.acquisition.token] = flight
            return nil
        }
    }

    /// The lease of a flight is won: the next attempt on its key may begin.
    func started(_ flight: any AnyFlight) {
        state.withLock { state in
            guard state.starting[flight.key]?.acquisition.token == flight.acquisition.token else { return }
            state.starting[flight.key] = nil
        }
    }

    /// Nobody is to find the flight any more.
    func leave(_ flight: any AnyFlight) {
        started(flight)
        _ = state.withLock { $0.flying.removeValue(forKey: flight.acquisition.token) }
    }

    /// The flight is over, and what it leaves stands in the store.
    func end(_ flight: any AnyFlight) {
        started(flight)
        state.withLock { state in
            state.flying[flight.acquisition.token] = nil
            state.remember(flight.acquisition.token)
        }
    }

    /// The flight of the load that a token names, if this process runs it.
    ///
    /// The caller read the token in the store, so the store vouches for that load. That the stamps beside it are those
    /// that the caller read is one of the rules of ``ReadMachine``.
    func flight(_ token: LoadToken) -> (any AnyFlight)? {
        state.withLock { $0.flying[token] }
    }

    /// Whether the flight of a load has ended a short while ago: what stands in the store is another item by now, as a
    /// rule.
    func hasEnded(_ token: LoadToken) -> Bool {
        state.withLock { $0.ended.contains(token) }
    }
}
