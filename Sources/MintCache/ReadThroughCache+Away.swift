/// What calls get while the store cannot be asked.
extension ReadThroughCache {
    /// A value that is held, and may be served: reported.
    func heldValue<Value: Sendable>(of entry: CacheEntry) -> Value? {
        guard entry.policy.whenAway.isHolding, !pending.names(entry, in: store),
            let value: Value = held.value(of: entry, at: (clock.now, clock.elapsed))
        else { return nil }
        AnswerNote.current?.note(.held)
        report(.held, entry)
        return value
    }

    /// Holds what was read in the store.
    @inline(never)
    func hold(_ value: some Sendable, _ entry: CacheEntry, _ record: CachedRecord, _ order: UInt64) {
        let staleFor = record.terms?.staleFor ?? entry.policy.staleFor
        let until = record.freshUntil + (record.isSettling ? .zero : staleFor)
        hold(value, entry, size: record.payload.bytes.count, order, since: clock.elapsed, until: until)
    }

    /// Holds what was loaded while the store could not be asked: as good as what the store would have said.
    func hold<Value: Sendable>(
        loaded: LoadedValue<Value>, _ entry: CacheEntry, _ coder: any PayloadCoder<Value>, _ order: UInt64,
        since began: Duration
    ) {
        let value = loaded.value
        guard entry.policy.whenAway.isHolding, loaded.terms?.groups.isEmpty != false,
            let ttl = lifetime(of: loaded, entry.policy, coder), let payload = try? coder.encode(value)
        else { return }
        let until = clock.now + ttl + (loaded.terms?.staleFor ?? entry.policy.staleFor)
        hold(value, entry, size: payload.bytes.count, order, since: began, until: until)
    }

    /// Holds what was loaded, and stored unless the store has failed meanwhile.
    func hold<Value: Sendable>(_ landing: Landing<Value>, _ flight: Flight<Value>, _ loaded: Fill.Loaded) {
        guard flight.entry.policy.whenAway.isHolding, !loaded.isSettling, loaded.terms?.groups.isEmpty != false,
            case .success(let result) = landing.result
        else { return }
        let until = clock.now + loaded.ttl + (loaded.terms?.staleFor ?? flight.entry.policy.staleFor)
        hold(
            result.value, flight.entry, size: loaded.payload.bytes.count, flight.order,
            since: clock.elapsed - landing.took,
            until: until)
    }

    private func hold(
        _ value: some Sendable, _ entry: CacheEntry, size: Int, _ order: UInt64, since began: Duration, until: WallTime
    ) {
        held.hold(value, under: entry.key, size: size, order: order, at: began, until: until)
    }
}
