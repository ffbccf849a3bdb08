/// The key protocol on a store: reads, loads, fills and invalidations that keep the invariants I1 to I6.
///
/// This is the thin shell around ``ReadMachine`` and ``Fill``: it does the I/O that they ask for. What it promises is
/// documented in the article *Guarantees*.
public final class ReadThroughCache: Sendable {
    /// Computes a value. It runs in a task of its own, which inherits the caller's task-local values and priority but
    /// not its cancellation, because others may be waiting for the same value.
    public typealias Loader<Value> = @Sendable @concurrent () async throws -> Value

    let store: any CacheStore
    let clock: any CacheClock
    private let observer: (any CacheObserver)?
    let flights = FlightTable()
    private let unleased: UnleasedLoads

    /// Makes a cache on a store.
    public init(store: any CacheStore, clock: any CacheClock = SystemClock(), observer: (any CacheObserver)? = nil) {
        self.store = store
        self.clock = clock
        self.observer = observer
        unleased = UnleasedLoads(clock: clock)
    }

    // MARK: Reading

    /// The cached value, or else the loader's, which is stored.
    ///
    /// - Throws: the loader's error, or `CancellationError` as soon as the calling task is cancelled.
    public func value<Value>(
        of entry: CacheEntry<Value>, load: @escaping Loader<Value>
    ) async throws -> Value {
        try await run(.value, entry, load)
    }

    /// The value of a load that begins now, which is stored. A load that was in flight for this key loses its lease:
    /// its callers get its value, but it is not stored. While this load runs, a value that is cached goes on being
    /// served.
    ///
    /// - Throws: as ``value(of:load:)``.
    public func refresh<Value>(
        _ entry: CacheEntry<Value>, load: @escaping Loader<Value>
    ) async throws -> Value {
        try await run(.refresh, entry, load)
    }

    /// What a call would be served without waiting for a load; `nil` when it would have to load.
    ///
    /// - Throws: `CancellationError` as soon as the calling task is cancelled.
    public func peek<Value>(_ entry: CacheEntry<Value>) async throws -> Value? {
        guard let read = try await attempt(entry.key, { try await self.read(entry) }),
            case .value(let record) = read.item?.envelope,
            record.isServable(under: read.groups.compactMap(\.stamp), at: clock.now, staleFor: entry.policy.staleFor)
        else { return nil }
        return try? entry.coder.decode(record.payload)
    }

    private func run<Value>(
        _ goal: ReadMachine.Goal, _ entry: CacheEntry<Value>, _ load: @escaping Loader<Value>
    ) async throws -> Value {
        var machine = ReadMachine(policy: entry.policy, goal: goal)
        going: while true {
            guard let read = try await attempt(entry.key, { try await self.read(entry) }) else { break }
            let action = machine.fetched(read.item, groups: read.groups, at: clock.now) {
                try? entry.coder.decode($0)
            }
            switch action {
            case .serve(let value):
                report(.hit, entry.key)
                return value
            case .serveStale(let value):
                report(.stale, entry.key)
                return value
            case .claim(let acquisition, let stale):
                let (flight, own) = depart(acquisition, entry, load)
                if let own, entry.policy.refresh == .foreground, try await flight.start.value() == .won {
                    return try await outcome(of: own)
                }
                report(.stale, entry.key)
                return stale
            case .acquire(let acquisition):
                let (flight, own) = depart(acquisition, entry, load)
                switch try await flight.start.value() {
                case .won:
                    if let own { return try await outcome(of: own) }
                    // Whoever waited for the start may share the load whatever it read: the load begins after that.
                    if let value = try await share(flight, as: Value.self) { return value }
                case .lost: continue
                case .trouble: break going
                }
            case .wait(let token, let pause):
                guard let flight = flights.flight(token) else {
                    try await clock.sleep(for: pause)
                    continue
                }
                if let value = try await share(flight, as: Value.self) { return value }
                if !(flight is Flight<Value>) { try await clock.sleep(for: pause) }
            case .plant(let plantings):
                guard try await attempt(entry.key, { try await self.plant(plantings, in: entry.groups) }) != nil
                else { break going }
            case .loadWithoutLease:
                break going
            }
        }
        let value = try await unleased.value(of: entry.key, longestHold: entry.policy.leaseFor) {
            try await self.run(load, for: entry.key)
        }
        report(.miss, entry.key)
        return value
    }

    private func outcome<Value>(of flight: Flight<Value>) async throws -> Value {
        let value = try await flight.outcome.value()
        report(.miss, flight.key)
        return value
    }

    /// The value of another caller's load; `nil` when it is of another type or there is nothing to share any more.
    private func share<Value: Sendable>(_ flight: any AnyFlight, as type: Value.Type) async throws -> Value? {
        guard let flight = flight as? Flight<Value>, let value = try await flight.shared.value() else { return nil }
        report(.miss, flight.key)
        return value
    }

    private func read<Value>(
        _ entry: CacheEntry<Value>
    ) async throws -> (item: ReadMachine.ValueItem?, groups: [ReadMachine.GroupItem]) {
        guard !entry.groups.isEmpty else {
            return (valueItem(try await store.get(entry.key), entry.key), [])
        }
        let items = try await store.get([entry.key] + entry.groups)
        let groups = zip(entry.groups, items.dropFirst()).map { key, item -> ReadMachine.GroupItem in
            guard let item else { return .missing }
            return EnvelopeCoding.stamp(in: item.value, for: key).map { .stamp($0) } ?? .garbage(item.cas)
        }
        return (valueItem(items[0], entry.key), groups)
    }

    private func valueItem(_ item: StoreItem?, _ key: StoreKey) -> ReadMachine.ValueItem? {
        item.map { .init(cas: $0.cas, envelope: EnvelopeCoding.envelope(in: $0.value, for: key)) }
    }

    /// Gives groups their stamps. Another caller may have been faster, so its stamps are to be read again.
    private func plant(_ plantings: [ReadMachine.Planting], in groups: [StoreKey]) async throws {
        for planting in plantings {
            let key = groups[planting.group]
            _ = try await write(EnvelopeCoding.encode(planting.stamp, for: key), to: key, over: planting.over, nil)
        }
    }

    /// Writes over the item with this CAS id, or where there is none, and says whether that was so.
    func write(
        _ value: [UInt8], to key: StoreKey, over cas: StoreItem.CAS?, _ expiry: Duration?
    ) async throws -> Bool {
        if let cas {
            try await store.compareAndSwap(key, expecting: cas, with: value, expiry: expiry)
        } else {
            try await store.add(key, value, expiry: expiry)
        }
    }

    /// The result of a store operation; `nil`, reported, when the store failed.
    private func attempt<Result>(_ key: StoreKey, _ operation: () async throws -> Result) async throws -> Result? {
        do {
            return try await operation()
        } catch let error as CancellationError {
            throw error
        } catch {
            report(.storeTrouble, key, error)
            return nil
        }
    }

    // MARK: Invalidating

    /// Removes what is cached under a key. A call that begins after this returned gets no value whose load began
    /// before.
    ///
    /// - Throws: what the store throws; then the promise is not kept, and the call is to be repeated.
    public func invalidate(_ key: StoreKey) async throws {
        _ = try await store.delete(key)
        report(.invalidation, key)
    }

    /// Begins a new generation of a group: the same promise for every value in it, at the cost of one write.
    ///
    /// - Throws: as ``invalidate(_:)``.
    public func invalidate(group key: StoreKey) async throws {
        do {
            try await beginGeneration(of: key)
        } catch let error as CacheError where error.code == .unavailable {
            // The connection may have been broken since the server was restarted: a new one tells. With a new stamp,
            // since the first one may have arrived, and arriving again would undo an invalidation that came between.
            try await beginGeneration(of: key)
        }
        report(.invalidation, key)
    }

    private func beginGeneration(of group: StoreKey) async throws {
        try await store.set(group, to: EnvelopeCoding.encode(.random(), for: group), expiry: nil)
    }

    /// Suspends the task for a duration of the cache's clock.
    package func pause(_ duration: Duration) async throws {
        try await clock.sleep(for: duration)
    }

    func report(_ kind: CacheEvent.Kind, _ key: StoreKey, _ error: (any Error)? = nil) {
        observer?.record(CacheEvent(kind: kind, key: key, error: error))
    }
}
