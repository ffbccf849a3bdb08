/// One load of one key under one lease, from taking the lease to the end of the fill, and all who wait for it.
///
/// It runs in a task of its own, so a caller that is cancelled leaves without disturbing the others, and what was
/// begun in the store is always ended there.
final class Flight<Value: Sendable>: AnyFlight {
    let acquisition: Acquisition
    let entry: CacheEntry
    let load: SharedLoad<FlightOutcome<Value>>
    /// For those who read the token when the load was over: its value, if that is going to be stored.
    let landed = Promise<Value?>()
    /// What came of the fill, for those who wait for another's load.
    let fill = Promise<FillEnd?>()
    /// The same for the caller whose load it is.
    let ownFill = Promise<FillEnd>()
    let lease = HeldLease()
    /// The right to run the loader.
    let place: LoadPlace
    let part: StorePart
    let list: UInt32
    /// Where it began in the order of ``HeldValues``.
    let order: UInt64
    /// Whether it is to fill although nobody may wait for it.
    private let isBackground: Bool

    init(
        _ acquisition: Acquisition, _ entry: CacheEntry, _ place: LoadPlace = .none, in part: StorePart,
        list: UInt32 = 0, order: UInt64 = 0, isBackground: Bool = false, frame: LoadFrame, deadlines: Deadlines
    ) {
        self.place = place
        self.part = part
        self.list = list
        self.order = order
        self.acquisition = acquisition
        self.entry = entry
        self.isBackground = isBackground
        load = SharedLoad(frame, deadlines: deadlines)
    }

    /// Lets all who wait for another's load go when a time is over.
    func letGo(after duration: Duration, then: @escaping @Sendable () -> Void) {
        load.letGo(after: duration) { [self] in
            then()
            landed.resolve(.success(nil))
            fill.resolve(.success(nil))
        }
    }

    /// The lease is over: as a rule the value is not going to be stored, so the load is for those who wait.
    func loseLease() {
        if !isBackground { load.cancelWhenAlone() }
    }

    /// Tells all who wait what came of the fill.
    func end(_ end: FillEnd) {
        fill.resolve(.success(end))
        ownFill.resolve(.success(end))
        load.callOffBound()
    }

    /// The value, for those who read the token when the load was over; `nil` if it is not going to be stored, or when
    /// they have been let go.
    func landedValue() async throws -> Value? { try await load.wait(for: landed) }

    /// What came of the fill; `nil` when those who wait have been let go.
    @discardableResult
    func waitForFill() async throws -> FillEnd? { try await load.wait(for: fill) }
}

/// What came of a flight for those who wait for its value.
enum FlightOutcome<Value: Sendable>: Sendable {
    case value(LandedValue<Value>)
    /// The load has failed, and this value was cached before. It is for the call whose load it is: others may have begun
    /// after an invalidation of it.
    case kept(Value, any Error)
    /// Someone else changed the register before the lease was taken.
    case lost
    /// The lease is lost already, or was not taken, so nothing may be filled.
    case gone
    /// The store did not say whether the lease was taken, so nothing may be filled.
    case trouble
}

/// The value of a load, for those who wait for it.
struct LandedValue<Value: Sendable>: Sendable {
    var value: Value
    /// How long it is fresh; `nil` when it is not cached.
    var freshFor: Duration?
    /// Whether all may have it who share the load. A value with groups of its own is for the call whose load it is: others
    /// may have begun after an invalidation of one of them, and read it when it is stored.
    var isForAll: Bool
}

/// What came of a fill.
enum FillEnd: Sendable {
    /// The value stands in the store.
    case stored
    /// The register no longer carried the load's token.
    case dropped
    /// There was nothing to store, and the register was given back.
    case released
    /// The store failed or refused the value: what the register carries has to be given back yet.
    case failed
}

/// A flight of any value type.
protocol AnyFlight: Sendable {
    var acquisition: Acquisition { get }
    var entry: CacheEntry { get }
    /// The part of the store in which it began.
    var part: StorePart { get }
    /// The number of the list of servers under which it began.
    var list: UInt32 { get }
    var lease: HeldLease { get }

    func letGo(after duration: Duration, then: @escaping @Sendable () -> Void)

    func loseLease()

    @discardableResult
    func waitForFill() async throws -> FillEnd?
}

extension AnyFlight {
    /// The store that it began in.
    var store: any CacheStore { part.store }
}
