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
    // Not optional: each hit would copy it out, and all threads would count at one place.
    private let observer: any CacheObserver
    let flights = FlightTable()
    let deadlines: Deadlines
    private let unleased: UnleasedLoads

    /// Makes a cache on a store.
    public init(store: any CacheStore, clock: any CacheClock = SystemClock(), observer: (any CacheObserver)? = nil) {
        self.store = store
        self.clock = clock
        self.observer = observer ?? NoObserver()
        deadlines = Deadlines(clock: clock)
        unleased = UnleasedLoads(deadlines: deadlines)
    }

    // MARK: Reading

    /// The cached value, or else the loader's, which is stored.
    ///
    /// - Parameter load: the loader, which a hit does not even make.
    /// - Throws: the loader's error, or `CancellationError` as soon as the calling task is cancelled.
    public func value<Value: Sendable>(
        of entry: CacheEntry, _ coder: any PayloadCoder<Value>, load: @autoclosure () -> Loader<Value>
    ) async throws -> Value {
        guard let answer = try await ask(for: entry) else { return try await loadUnleased(entry, load()) }
        // Most calls end here. For the others the answer is parsed once more.
        do { return try hit(in: answer, entry, coder) } catch {}
        return try await go(on: consume answer, to: .value, entry, coder, load())
    }

    /// The value of a load that begins now, which is stored. A load that was in flight for this key loses its lease:
    /// its callers get its value, but it is not stored. While this load runs, a value that is cached goes on being
    /// served.
    ///
    /// - Throws: as ``value(of:_:load:)``.
    public func refresh<Value: Sendable>(
        _ entry: CacheEntry, _ coder: any PayloadCoder<Value>, load: @escaping Loader<Value>
    ) async throws -> Value {
        guard let answer = try await ask(for: entry) else { return try await loadUnleased(entry, load) }
        return try await go(on: consume answer, to: .refresh, entry, coder, load)
    }

    /// What a call would be served without waiting for a load; `nil` when it would have to load.
    ///
    /// - Throws: `CancellationError` as soon as the calling task is cancelled.
    public func peek<Value: Sendable>(_ entry: CacheEntry, _ coder: any PayloadCoder<Value>) async throws -> Value? {
        guard let read = try await ask(for: entry).map({ parsed($0, entry) }),
            case .value(let record) = read.item?.envelope, case .stamps(let stamps) = read.groups,
            record.isServable(under: stamps, at: clock.now, staleFor: entry.policy.staleFor)
        else { return nil }
        return try? coder.decode(record)
    }

    /// The fresh value in an answer. It is reported.
    ///
    /// By itself and not inlined: what it needs would be kept in the frame of the call, which is in its task's memory
    /// while it waits for the store.
    ///
    /// - Throws: when there is none that can be decoded. An optional of the value would be one more allocation.
    @inline(never)
    private func hit<Value: Sendable>(
        in answer: Answer, _ entry: CacheEntry, _ coder: any PayloadCoder<Value>
    ) throws -> Value {
        guard let item = answer.item, let record = EnvelopeCoding.record(in: item.value, for: entry.key),
            case .stamps(let stamps) = stamps(answer.generations, of: entry.groups),
            record.isHit(under: stamps, by: clock)
        else { throw NoHit() }
        let value = try coder.decode(record)
        report(.hit, entry.key)
        return value
    }

    private struct NoHit: Error {}

    /// Does what the machine says, reads again, and so on, until there is a value. By itself as ``hit(in:_:_:)`` is.
    @inline(never)
    private func go<Value: Sendable>(
        on answer: consuming Answer, to goal: ReadMachine.Goal, _ entry: CacheEntry, _ coder: any PayloadCoder<Value>,
        _ load: @escaping Loader<Value>
    ) async throws -> Value {
        var machine = ReadMachine(policy: entry.policy, goal: goal)
        var read = parsed(consume answer, entry)
        var action = machine.fetched(read, at: clock.now)
        var ended: LoadToken?
        going: while true {
            let cached = action.record.flatMap { try? coder.decode($0) }
            if action.record != nil, cached == nil { action = machine.fetched(read.withGarbage, at: clock.now) }
            switch action {
            case .serve:
                if let cached { return served(cached, .hit, entry.key) }
            case .serveStale:
                if let cached { return served(cached, .stale, entry.key) }
            case .claim(let acquisition, _):
                let (flight, own) = depart(acquisition, entry, coder, load)
                if let own, entry.policy.refresh == .foreground, try await flight.start.value() == .won {
                    return try await outcome(of: own)
                }
                if let cached { return served(cached, .stale, entry.key) }
            case .acquire(let acquisition):
                let (flight, own) = depart(acquisition, entry, coder, load)
                switch try await flight.start.value() {
                case .won:
                    if let own { return try await outcome(of: own) }
                    // Whoever waited for the start may share the load whatever it read: the load begins after that.
                    if let value = try await share(flight, as: Value.self) { return value }
                case .lost: break
                case .trouble: break going
                }
            case .wait(let token, let pause):
                if let flight = flights.flight(token) {
                    if let value = try await share(flight, as: Value.self) { return value }
                    if !(flight is Flight<Value>) { try await clock.sleep(for: pause) }
                } else if token != ended, flights.hasEnded(token) {
                    // It landed after this call's read: the next one finds what it left, unless the store was away.
                    ended = token
                } else {
                    try await clock.sleep(for: pause)
                }
            case .plant(let plantings):
                guard try await plant(plantings, of: entry) else { break going }
            case .readAgain:
                break
            case .loadWithoutLease:
                break going
            }
            guard let again = try await ask(for: entry) else { break }
            read = parsed(again, entry)
            action = machine.fetched(read, at: clock.now)
        }
        return try await loadUnleased(entry, load)
    }

    private func served<Value: Sendable>(_ value: Value, _ kind: CacheEvent.Kind, _ key: StoreKey) -> Value {
        report(kind, key)
        return value
    }

    private func loadUnleased<Value: Sendable>(
        _ entry: CacheEntry, _ load: @escaping Loader<Value>
    ) async throws -> Value {
        let value = try await unleased.value(of: entry.key, longestHold: entry.policy.leaseFor) {
            try await self.run(load, for: entry.key)
        }
        return served(value, .miss, entry.key)
    }

    private func outcome<Value: Sendable>(of flight: Flight<Value>) async throws -> Value {
        served(try await flight.outcome.value(), .miss, flight.key)
    }

    /// The value of another caller's load; `nil` when it is of another type or there is nothing to share any more.
    private func share<Value: Sendable>(_ flight: any AnyFlight, as type: Value.Type) async throws -> Value? {
        guard let flight = flight as? Flight<Value>, let value = try await flight.shared.value() else { return nil }
        return served(value, .miss, flight.key)
    }

    /// What the store answered.
    private struct Answer {
        var item: StoreItem?
        /// Of the groups, in their order.
        var generations: [StoreItem?]
    }

    /// What stands under an entry's keys, in one round trip; `nil`, reported, when the store failed.
    @inline(__always)
    private func ask(for entry: CacheEntry) async throws -> Answer? {
        do {
            guard !entry.groups.isEmpty else { return Answer(item: try await store.get(entry.key), generations: []) }
            let (item, generations) = try await store.get(entry.key, with: entry.groups)
            return Answer(item: item, generations: generations)
        } catch {
            try report(trouble: error, entry.key)
            return nil
        }
    }

    /// What the machine is told of an answer.
    private func parsed(_ answer: Answer, _ entry: CacheEntry) -> ReadMachine.Read {
        ReadMachine.Read(
            item: valueItem(answer.item, entry.key), groups: stamps(answer.generations, of: entry.groups))
    }

    private func valueItem(_ item: StoreItem?, _ key: StoreKey) -> ReadMachine.ValueItem? {
        // A copy: the record is kept for as long as a load takes, and a slice would keep what was read with it.
        item.map { .init(cas: $0.cas, envelope: EnvelopeCoding.envelope(in: Array($0.value), for: key)) }
    }

    private func stamps(_ items: [StoreItem?], of groups: [StoreKey]) -> ReadMachine.Groups {
        var stamps = GroupStamps()
        var plantings: [ReadMachine.Planting] = []
        for group in groups.indices {
            let item = items[group]
            if let item, let stamp = EnvelopeCoding.stamp(in: item.value, for: groups[group]) {
                stamps.append(stamp)
            } else {
                plantings.append(.init(group: group, over: item?.cas))
            }
        }
        return plantings.isEmpty ? .stamps(stamps) : .incomplete(plantings)
    }

    /// Gives groups their stamps, and says whether the store took them. Another caller may have been faster, so its
    /// stamps are to be read again.
    private func plant(_ plantings: [ReadMachine.Planting], of entry: CacheEntry) async throws -> Bool {
        do {
            for planting in plantings {
                let group = entry.groups[planting.group]
                let bytes = EnvelopeCoding.encode(planting.stamp, for: group)
                _ = try await write(bytes, to: group, over: planting.over, nil)
            }
            return true
        } catch {
            try report(trouble: error, entry.key)
            return false
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

    /// Reports that the store failed.
    ///
    /// Not inlined: each call would allocate room for the error that it compares with, which has no size of its own.
    ///
    /// - Throws: `CancellationError`, which is not the store's failure.
    @inline(never)
    private func report(trouble error: any Error, _ key: StoreKey) throws {
        if error is CancellationError { throw error }
        report(.storeTrouble, key, error)
    }

    func report(_ kind: CacheEvent.Kind, _ key: StoreKey, _ error: (any Error)? = nil) {
        observer.record(CacheEvent(kind: kind, key: key, error: error))
    }
}

/// Who is told when nobody is to be.
package struct NoObserver: CacheObserver {
    package init() {}

    package func record(_ event: CacheEvent) {}
}
