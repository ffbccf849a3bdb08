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
        guard read.hasOwnGroups else { return read }
        return try await completed([(read, entry)], in: store.part(of: entry.key))?[0]
    }

    /// The same for values with groups of their own in one part of the store, in one exchange for all of them.
    func completed(
        _ reads: [(read: ReadMachine.Read, entry: CacheEntry)], in part: StorePart
    ) async throws -> [ReadMachine.Read]? {
        let wasPending = reads.map { pending.names(groups: $0.read.ownGroups, in: part.id) }
        do {
            let found = try await generations(of: reads.flatMap(\.read.ownGroups), reads[0].entry, in: part.store)
            return zip(reads, wasPending).map { completed($0.read, $0.entry, found, wasPending: $1) }
        } catch {
            try report(trouble: error, reads[0].entry)
            return nil
        }
    }

    private func completed(
        _ read: ReadMachine.Read, _ entry: CacheEntry, _ found: [StoreKey: Generation], wasPending: Bool
    ) -> ReadMachine.Read {
        guard case .stamps(var reading) = read.groups, let record = read.item?.record else { return read }
        var whole = read
        whole.wasPending = read.wasPending || wasPending
        let own = read.ownGroups.compactMap { found[$0] }
        // The store takes no stamps: the value is nothing to anybody.
        guard own.count == read.ownGroups.count else { return whole.withoutOwnGroups() }
        reading.own = own
        reading.settlingUntil = own.reduce(reading.settlingUntil) { max($0, $1.settlingUntil) }
        whole.groups = .stamps(reading)
        if entry.policy.earlyRefresh.isOn, record.freshness(under: reading)?.isFresh(at: clock.now) == true,
            isEarly(record, entry)
        {
            whole.isEarly = true
        }
        return informed(whole, entry)
    }

    /// What stands under generation keys. Those that have no stamp are given one, and are missing if the store takes none.
    private func generations(
        of groups: [StoreKey], _ entry: CacheEntry, in part: any CacheStore
    ) async throws -> [StoreKey: Generation] {
        let groups = groups.unique
        var found: [StoreKey: Generation] = [:]
        for attempt in 0..<2 {
            let items = try await part.get(groups)
            for (group, item) in zip(groups, items) {
                found[group] = item.flatMap { EnvelopeCoding.generation(in: $0.value, for: group) }
            }
            guard attempt == 0, case .incomplete(let plantings) = self.groups(items, of: groups) else { break }
            try await plant(plantings, of: groups, entry, in: part)
        }
        return found
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
        guard let known = await stamps(of: [(groups, flight)])[0] else { return (first.value, nil, nil) }
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

    /// The stamps of the groups of several loads, for another run of them, in two exchanges with each part of the store; `nil`
    /// for a load when the store has failed, reported, takes none, has a window in which what is loaded is settling, or shows
    /// that the lease is lost: then nothing could be stored.
    func stamps(of loads: [(groups: [StoreKey], flight: any AnyFlight)]) async -> [[OwnGroup]?] {
        await withTaskGroup(of: (places: [Int], stamps: [[OwnGroup]?]).self) { group in
            for (_, places) in loads.places(by: \.flight.part) {
                group.addTask { (places, await self.stampsInPart(of: places.map { loads[$0] })) }
            }
            var all = [[OwnGroup]?](repeating: nil, count: loads.count)
            for await (places, stamps) in group {
                for (place, stamps) in zip(places, stamps) { all[place] = stamps }
            }
            return all
        }
    }

    private func stampsInPart(of loads: [(groups: [StoreKey], flight: any AnyFlight)]) async -> [[OwnGroup]?] {
        let (part, entry) = (loads[0].flight.store, loads[0].flight.entry)
        do {
            // One with too many is not stored, and none of them is worth a stamp.
            let groups = loads.map(\.groups).filter { $0.count <= EnvelopeCoding.maximumOwnGroups }.flatMap(\.self)
            let found = try await generations(of: groups, entry, in: part)
            let registers = try await part.get(loads.map(\.flight.entry.key))
            return zip(loads, registers).map { load, register in
                guard stands(load.flight, register), load.groups.count <= EnvelopeCoding.maximumOwnGroups else {
                    return nil
                }
                let own = load.groups.compactMap { group in
                    found[group].flatMap { $0.settlingUntil <= clock.now ? OwnGroup(key: group, stamp: $0.stamp) : nil }
                }
                return own.count == load.groups.count ? own : nil
            }
        } catch {
            report(.storeTrouble, entry, error: error)
            return loads.map { _ in nil }
        }
    }

    /// Whether a register carries the token of a load still.
    private func stands(_ flight: some AnyFlight, _ register: StoreItem?) -> Bool {
        guard case .loading = flights.state(of: flight.acquisition.token), let register else { return false }
        let envelope = EnvelopeCoding.envelope(in: register.value, for: flight.entry.key)
        return envelope?.lease?.token == flight.acquisition.token
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

    /// The groups that the value has of its own.
    var ownGroups: [StoreKey] { item?.record?.terms?.groups.map(\.key) ?? [] }

    /// The same where those stamps cannot be had: the value is nothing to anybody.
    func withoutOwnGroups() -> ReadMachine.Read {
        guard case .stamps(var reading) = groups else { return self }
        reading.own = []
        var read = self
        read.groups = .stamps(reading)
        return read
    }
}
