/// The key protocol on a store: reads, loads, fills and invalidations that keep the invariants I1 to I6.
///
/// This is the thin shell around ``ReadMachine`` and ``Fill``: it does the I/O that they ask for. What it promises is
/// documented in the article *Guarantees*.
public final class ReadThroughCache: Sendable {
    /// Computes a value. It runs in a task of its own, which inherits the caller's task-local values, priority and
    /// preferred executor but not its cancellation, because others may be waiting for the same value.
    public typealias Loader<Value> = @Sendable @concurrent () async throws -> LoadedValue<Value>

    let store: any CacheStore
    let clock: any CacheClock
    // Not optional: each hit would copy it out, and all threads would count at one place.
    private let observer: any CacheObserver
    let tracing: any LoadTracing
    let background: BackgroundContext
    let deadlines: Deadlines
    let flights = FlightTable()
    /// Loads that nothing in the store vouches for.
    let unleased: SerialLoads
    let refreshes: SerialLoads
    let failures = RecentFailures()
    let pending = PendingInvalidations()
    let underWay = UnderWay()
    let held = HeldValues()
    let audits = AuditTurns()
    let warmGroups: WarmGroups?
    let repeatsInvalidationsFor: Duration
    /// What all loads have to pass.
    let gate: LoadGate?
    /// Whether every call is its loader's: nothing is read and nothing stored, and invalidations are sent.
    let isDisabled: Bool
    /// Who holds what was read, and is told what is invalid from now on.
    let onInvalidation: @Sendable (Invalidated) -> Void

    /// What is invalid from now on: the value of a key, or those of a group.
    public struct Invalidated: Sendable {
        /// Of the value, or of the group's generation.
        public let key: StoreKey
        /// Whether it is a group.
        public let isGroup: Bool
    }

    /// Makes a cache on a store.
    ///
    /// - Parameters:
    ///   - tracing: runs the loaders.
    ///   - background: what background refreshes take over from the calls that begin them.
    ///   - warmGroupCount: of how many groups, those that are read most, to read the stamps every few seconds.
    ///   - repeatsInvalidationsFor: for how long an invalidation that has failed is repeated.
    ///   - maximumLoads: how many loads may run at a time: see ``CachePolicy/maximumLoads``.
    ///   - maximumWaitingLoads: how many may wait for their turn.
    ///   - isDisabled: whether every call is its loader's.
    ///   - onInvalidation: is told each key and group that this cache invalidates, also when the store does not take it.
    public init(
        store: any CacheStore, clock: any CacheClock = SystemClock(), observer: (any CacheObserver)? = nil,
        tracing: (any LoadTracing)? = nil, background: BackgroundContext = .none, warmGroupCount: Int = 0,
        repeatsInvalidationsFor: Duration = .seconds(86_400), maximumLoads: Int? = nil,
        maximumWaitingLoads: Int = 1000, isDisabled: Bool = false,
        onInvalidation: @escaping @Sendable (Invalidated) -> Void = { _ in }
    ) {
        self.isDisabled = isDisabled
        self.onInvalidation = onInvalidation
        gate = CachePolicy(maximumLoads: maximumLoads, maximumWaitingLoads: maximumWaitingLoads).gate
        self.repeatsInvalidationsFor = repeatsInvalidationsFor
        self.store = store
        self.clock = clock
        self.observer = observer ?? NoObserver()
        self.tracing = tracing ?? NoLoadTracing()
        self.background = background
        deadlines = Deadlines(clock: clock)
        unleased = SerialLoads(deadlines: deadlines, underWay: underWay)
        refreshes = SerialLoads(deadlines: deadlines, underWay: underWay)
        warmGroups = warmGroupCount > 0 && !isDisabled ? WarmGroups(warmGroupCount) : nil
        if let warmGroups { Self.keepWarm(warmGroups, clock: clock, of: self) }
    }

    // MARK: Reading

    /// The cached value, or else the loader's, which is stored. It is returned when it has been loaded; storing it goes
    /// on in the background.
    ///
    /// - Parameter load: the loader, which a hit does not even make.
    /// - Throws: the loader's error; `CancellationError` as soon as the calling task is cancelled; ``CacheError`` with
    ///   code `reentrantLoad` in a loader that needs its own value, or `recentFailure` where errors are shared.
    public func value<Value: Sendable>(
        of entry: CacheEntry, _ coder: any PayloadCoder<Value>, load: @autoclosure () -> Loader<Value>
    ) async throws -> Value {
        let order = held.order
        guard let answer = try await ask(for: entry) else { return try await withinPatience(nil, entry, coder, load()) }
        let read: ReadMachine.Read
        // Most calls end here.
        do {
            let value = try hit(in: consume answer, entry, coder, order)
            if entry.policy.audit != nil { audit(value, entry, coder, load()) }
            return value
        } catch let noHit as NoHit { read = noHit.read }
        return try await withinPatience(read, entry, coder, load())
    }

    /// What a call would be served without waiting for a load; `nil` when it would have to load.
    ///
    /// - Throws: `CancellationError` as soon as the calling task is cancelled.
    public func peek<Value: Sendable>(_ entry: CacheEntry, _ coder: any PayloadCoder<Value>) async throws -> Value? {
        for _ in 0..<2 {
            guard let answer = try await ask(for: entry) else { return heldValue(of: entry) }
            guard let read = try await completed(self.read(answer, entry), entry) else { return heldValue(of: entry) }
            guard !isPending(entry, read),
                case .stamps(let reading) = read.groups
            else { return nil }
            let machine = ReadMachine(policy: entry.policy, since: clock.elapsed)
            switch read.item?.envelope {
            case .value(let record):
                guard machine.isServable(record, under: reading, at: clock.now) else { return nil }
                return try? coder.decode(record, under: entry.key)
            case .pending(let lease, let stamps):
                guard stamps == reading.stamps, !lease.isExpired else { return nil }
                switch flights.state(of: lease.token) {
                case .landed(let flight as Flight<Value>) where !flight.acquisition.hasSettled(by: clock.now):
                    return try await flight.landedValue()
                // It ended after this was read: the next read finds what it left.
                case .ended: break
                default: return nil
                }
            case .mark, .later, nil: return nil
            }
        }
        return nil
    }

    /// The fresh value in an answer. It is reported.
    ///
    /// - Parameter order: where the read began.
    ///
    /// By itself and not inlined: what it needs would be kept in the frame of the call, which is in its task's memory
    /// while it waits for the store.
    ///
    /// - Throws: ``NoHit`` when there is none that can be decoded. An optional of the value would be one more allocation.
    @inline(never)
    func hit<Value: Sendable>(
        in answer: Answer, _ entry: CacheEntry, _ coder: any PayloadCoder<Value>, _ order: UInt64
    ) throws -> Value {
        try hit(
            answer.item, groups(answer.generations, of: entry.groups), wasPending: answer.wasPending, entry, coder,
            order)
    }

    @inline(__always)
    private func hit<Value: Sendable>(
        _ item: StoreItem?, _ groups: ReadMachine.Groups, wasPending: Bool, _ entry: CacheEntry,
        _ coder: any PayloadCoder<Value>, _ order: UInt64
    ) throws -> Value {
        guard let item else { throw NoHit(read: .init(item: nil, groups: groups, wasPending: wasPending)) }
        var isIntact = false
        guard let record = EnvelopeCoding.record(in: item.value, for: entry.key, isIntact: &isIntact) else {
            throw noHit(item, isIntact ? EnvelopeCoding.envelope(inIntact: item.value) : nil, groups, wasPending)
        }
        guard case .stamps(let reading) = groups else { throw noHit(item, .value(record), groups, wasPending) }
        guard !wasPending, record.isHit(under: reading, by: clock), isAccepted(record, entry.key),
            !pending.names(entry, in: store)
        else { throw noHit(item, .value(record), .stamps(reading), wasPending) }
        let value: Value
        do { value = try coder.decode(record, under: entry.key) } catch {
            throw noHit(item, .value(record), .stamps(reading), wasPending)
        }
        if entry.policy.earlyRefresh.isOn, isEarly(record, entry) {
            var early = noHit(item, .value(record), .stamps(reading), wasPending)
            early.read.isEarly = true
            throw early
        }
        report(.hit, entry)
        if entry.policy.whenAway.isHolding { hold(value, entry, record, order) }
        return value
    }

    @inline(never)
    private func noHit(
        _ item: StoreItem, _ envelope: Envelope?, _ groups: ReadMachine.Groups, _ wasPending: Bool
    ) -> NoHit {
        let item = ReadMachine.ValueItem(cas: item.cas, envelope: envelope)
        let read = ReadMachine.Read(item: item, groups: groups, wasPending: wasPending)
        return NoHit(read: read.detached())
    }

    /// What was read in place of a hit.
    struct NoHit: Error {
        var read: ReadMachine.Read
    }

    /// The fresh value in an item that was read with others.
    @inline(never)
    func hit<Value: Sendable>(
        among item: StoreItem?, _ groups: ReadMachine.Groups, wasPending: Bool, _ entry: CacheEntry,
        _ coder: any PayloadCoder<Value>, _ order: UInt64
    ) throws -> Value {
        try hit(item, groups, wasPending: wasPending, entry, coder, order)
    }

    // MARK: Reporting

    /// Reports that the store failed.
    ///
    /// Not inlined: each call would allocate room for the error that it compares with, which has no size of its own.
    ///
    /// - Throws: `CancellationError`, which is not the store's failure.
    @inline(never)
    func report(trouble error: any Error, _ entry: CacheEntry) throws {
        if error is CancellationError { throw error }
        report(.storeTrouble, entry, error: error)
    }

    func report(
        _ kind: CacheEvent.Kind, _ entry: CacheEntry, reason: CacheEvent.Reason? = nil, error: (any Error)? = nil,
        duration: Duration? = nil, isShared: Bool = false
    ) {
        report(
            CacheEvent(
                kind: kind, key: entry.key, function: entry.options.function, reason: reason, error: error,
                duration: duration, isShared: isShared))
    }

    package func report(_ event: CacheEvent) { observer.record(event) }
}

/// Who is told when nobody is to be.
package struct NoObserver: CacheObserver {
    package init() {}

    package func record(_ event: CacheEvent) {}
}
