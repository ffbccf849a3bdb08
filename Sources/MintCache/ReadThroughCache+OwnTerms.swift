#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What the load of a value says of it: how long it is fresh, and groups of its own.
extension ReadThroughCache {
    /// How long a value is fresh; `nil` when it is not to be cached.
    func lifetime<Value>(
        of loaded: LoadedValue<Value>, _ policy: CachePolicy, _ coder: any PayloadCoder<Value>
    ) -> Duration? {
        if loaded.terms?.isStored == false { return nil }
        guard let ttl = loaded.terms?.ttl ?? coder.lifetime(of: loaded.value), ttl > .zero else { return nil }
        return policy.jitter > 0 ? ttl * (1 - policy.jitter * .random(in: 0..<1)) : ttl
    }

    /// The same for a load of a flight; also `nil` for a value with groups under which it cannot be stored.
    func freshness<Value>(
        of loaded: LoadedValue<Value>, own: [OwnGroup]?, _ flight: Flight<Value>, _ coder: any PayloadCoder<Value>,
        isSettling: Bool
    ) -> Duration? {
        guard own != nil, let ttl = lifetime(of: loaded, flight.entry.policy, coder) else { return nil }
        return isSettling ? min(ttl, max(.zero, flight.acquisition.settlingUntil - clock.now)) : ttl
    }

    /// Whether a value is to be refreshed although it is fresh: by chance, the sooner the longer its load takes. So one of
    /// many callers does it, before the value is stale and without asking the others.
    ///
    /// The algorithm is XFetch: A. Vattani, F. Chierichetti, K. Lowenstein, Optimal Probabilistic Cache Stampede Prevention,
    /// PVLDB 8(8), 2015.
    @inline(never)
    func isEarly(_ record: CachedRecord, _ entry: CacheEntry) -> Bool {
        let took = Double(record.loadMicroseconds)
        let left = Double((record.freshUntil - clock.now).wholeMicroseconds)
        return took * entry.policy.earlyRefresh.beta * -log(.random(in: .leastNonzeroMagnitude...1)) > left
    }

    // MARK: Groups of a value

    /// What was read, with the stamps of the groups that the value has of its own: one more exchange where it has any.
    ///
    /// - Returns: `nil` when the store failed, reported.
    func completed(_ read: ReadMachine.Read, _ entry: CacheEntry) async throws -> ReadMachine.Read? {
        guard read.hasOwnGroups, case .stamps(var reading) = read.groups, let record = read.item?.record else {
            return read
        }
        let (part, keys) = (store.part(of: entry.key), record.terms?.groups.map(\.key) ?? [])
        var whole = read
        whole.wasPending = read.wasPending || pending.names(groups: keys, in: part.id)
        do {
            guard let own = try await generations(of: keys, entry, in: part.store) else {
                return whole.withoutOwnGroups()
            }
            reading.own = own
            reading.settlingUntil = own.reduce(reading.settlingUntil) { max($0, $1.settlingUntil) }
        } catch {
            try report(trouble: error, entry)
            return nil
        }
        whole.groups = .stamps(reading)
        if entry.policy.earlyRefresh.isOn, record.freshness(under: reading)?.isFresh(at: clock.now) == true,
            isEarly(record, entry)
        {
            whole.isEarly = true
        }
        return informed(whole, entry)
    }

    /// What stands under generation keys, in their order. Those that have no stamp are given one.
    ///
    /// - Returns: `nil` when the store takes no stamps.
    private func generations(
        of groups: [StoreKey], _ entry: CacheEntry, in part: any CacheStore
    ) async throws -> [Generation]? {
        for _ in 0..<2 {
            let items = try await part.get(groups)
            let found = zip(groups, items).map { group, item in
                item.flatMap { EnvelopeCoding.generation(in: $0.value, for: group) }
            }
            let generations = found.compactMap(\.self)
            if generations.count == groups.count { return generations }
            let writes = zip(groups, zip(items, found)).compactMap { group, found -> UniqueValue? in
                guard found.1 == nil else { return nil }
                let generation = Generation(stamp: .random(for: group, isPlanted: true))
                return UniqueValue(group, value: EnvelopeCoding.encode(generation, for: group), over: found.0?.cas)
            }
            for (write, outcome) in zip(writes, await part.writeUnique(writes)) where try outcome.get().isStored {
                report(CacheEvent(kind: .stampPlanted, key: write.key, function: entry.options.function))
            }
        }
        return nil
    }

    /// Runs a loader, and once more when its value has groups whose stamps were not read before: a value is stored only
    /// under stamps that were.
    ///
    /// - Returns: besides, the groups under which it may be stored; `nil` when it may not.
    func load<Value: Sendable>(
        _ load: @escaping Loader<Value>, for flight: Flight<Value>, isSettling: Bool,
        isStored: (LoadedValue<Value>) -> Bool
    ) async throws -> (value: LoadedValue<Value>, reported: (any Error)?, own: [OwnGroup]?) {
        let entry = flight.entry
        let first = try await run(load, for: entry, flight.place, isSettling: isSettling)
        let groups = first.value.terms?.ownGroups(of: entry) ?? []
        // What is not going to be stored needs no stamps.
        if groups.isEmpty || first.reported != nil || !isStored(first.value) {
            return (first.value, first.reported, [])
        }
        if let own = flight.acquisition.own.stamps(of: groups) { return (first.value, nil, own) }
        guard let known = await stamps(of: groups, flight) else { return (first.value, nil, nil) }
        if PlantedMistake.stampsOfReturnedGroupsAtFill.isPlanted { return (first.value, nil, known) }
        do {
            // Those who wait for a place come first: a load that has ended has left its own.
            let place = try await placeInTurn(for: entry, flight.place.gates)
            let second = try await run(load, for: entry, place, isSettling: isSettling)
            return (
                second.value, second.reported, known.stamps(of: second.value.terms?.ownGroups(of: entry) ?? [])
            )
        } catch {
            // The first value is as good as any that is not stored.
            return (first.value, nil, nil)
        }
    }

    /// The stamps of groups, for another run of a load; `nil`, reported, when the store has failed, takes none, has a window
    /// in which what is loaded is settling, or shows that the lease is lost: then nothing could be stored.
    func stamps(of groups: [StoreKey], _ flight: some AnyFlight) async -> [OwnGroup]? {
        do {
            guard groups.count <= EnvelopeCoding.maximumOwnGroups,
                let own = try await generations(of: groups, flight.entry, in: flight.store),
                own.allSatisfy({ $0.settlingUntil <= clock.now }), try await stands(flight)
            else { return nil }
            return zip(groups, own).map { OwnGroup(key: $0, stamp: $1.stamp) }
        } catch {
            report(.storeTrouble, flight.entry, error: error)
            return nil
        }
    }

    /// Whether the register carries the token of a load still.
    private func stands(_ flight: some AnyFlight) async throws -> Bool {
        guard case .loading = flights.state(of: flight.acquisition.token) else { return false }
        let (key, token) = (flight.entry.key, flight.acquisition.token)
        guard let item = try await flight.store.getForUpdate(key) else { return false }
        return EnvelopeCoding.envelope(in: item.value, for: key)?.lease?.token == token
    }
}

extension LoadTerms {
    /// The groups that a value has and not its function, each once.
    func ownGroups(of entry: CacheEntry) -> [StoreKey] {
        groups.isEmpty
            ? [] : Set(groups).subtracting(entry.groups).sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
    }
}

extension [OwnGroup] {
    /// Those of some groups; `nil` when one is missing.
    func stamps(of keys: [StoreKey]) -> [OwnGroup]? {
        let found = filter { keys.contains($0.key) }
        return found.count == keys.count ? found : nil
    }
}

extension ReadMachine.Read {
    /// Whether the value has groups of its own whose stamps were not read yet.
    var hasOwnGroups: Bool {
        guard case .stamps(let reading) = groups, reading.own == nil else { return false }
        return item?.record?.terms?.groups.isEmpty == false
    }

    /// The same where those stamps cannot be had: the value is nothing to anybody.
    func withoutOwnGroups() -> ReadMachine.Read {
        guard case .stamps(var reading) = groups else { return self }
        reading.own = []
        var read = self
        read.groups = .stamps(reading)
        return read
    }
}
