/// One load of one key under one lease, from taking the lease to filling the register, and all who wait for it.
///
/// It runs in a task of its own, so a caller that is cancelled leaves without disturbing the others, and what was
/// begun in the store is always ended there.
final class Flight<Value: Sendable>: AnyFlight {
    let key: StoreKey
    let acquisition: Acquisition
    let start = Promise<FlightStart>()
    let outcome = Promise<Value>()

    init(key: StoreKey, acquisition: Acquisition) {
        self.key = key
        self.acquisition = acquisition
    }
}

/// What became of the attempt to take the lease.
enum FlightStart: Sendable {
    /// The lease is held and the load begins.
    case won
    /// Someone else changed the register first.
    case lost
    /// The store did not say. The load runs all the same, for those who wait for it, and fills nothing.
    case trouble
}

/// A flight of any value type.
protocol AnyFlight: Sendable {
    var key: StoreKey { get }
    var acquisition: Acquisition { get }
    var start: Promise<FlightStart> { get }
}
