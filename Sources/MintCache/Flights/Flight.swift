/// One load of one key under one lease, from taking the lease to filling the register, and all who wait for it.
///
/// It runs in a task of its own, so a caller that is cancelled leaves without disturbing the others, and what was
/// begun in the store is always ended there.
final class Flight<Value: Sendable>: AnyFlight {
    let key: StoreKey
    let acquisition: Acquisition
    let start = Promise<FlightStart>()
    /// For the caller whose loader it is: the value or the loader's error, however long that takes.
    let outcome = Promise<Value>()
    /// For all who share it: the same, or `nil` when there is nothing to share any more, because the lease is over or
    /// was not won. Then they read again.
    let shared = Promise<Value?>()

    init(key: StoreKey, acquisition: Acquisition) {
        self.key = key
        self.acquisition = acquisition
    }

    /// Tells all who wait how the load ended.
    func land(_ result: Result<Value, any Error>) {
        outcome.resolve(result)
        shared.resolve(result.map(Optional.some))
    }

    /// Lets those who share it go.
    func abandonSharers() { shared.resolve(.success(nil)) }
}

/// What became of the attempt to take the lease.
enum FlightStart: Sendable {
    /// The lease is held and the load begins.
    case won
    /// Someone else changed the register first.
    case lost
    /// The store did not say, so nothing may be filled.
    case trouble
}

/// A flight of any value type.
protocol AnyFlight: Sendable {
    var key: StoreKey { get }
    var acquisition: Acquisition { get }
    var start: Promise<FlightStart> { get }
}
