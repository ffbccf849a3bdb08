/// What is asked of the store, and what its answers are.
extension ReadThroughCache {
    /// What the store answered.
    struct Answer {
        var item: StoreItem?
        /// Of the groups, in their order.
        var generations: [StoreItem?]
        /// Whether an invalidation of it was pending here when the store was asked.
        var wasPending: Bool
    }

    /// What stands under an entry's keys, in one round trip; `nil` when the store failed, reported, or is not to be asked.
    @inline(__always)
    func ask(for entry: CacheEntry) async throws -> Answer? {
        if isDisabled { return nil }
        let wasPending = wasPending(entry)
        do {
            guard !entry.groups.isEmpty else {
                return Answer(item: try await store.get(entry.key), generations: [], wasPending: wasPending)
            }
            if let warmGroups { warmGroups.note(entry.groups) }
            let (item, generations) = try await store.get(entry.key, with: entry.groups)
            return Answer(item: item, generations: generations, wasPending: wasPending)
        } catch {
            try report(trouble: error, entry)
            return nil
        }
    }

    /// What the machine is told of an answer.
    func read(_ answer: Answer, _ entry: CacheEntry) -> ReadMachine.Read {
        let item = answer.item.map { item in
            ReadMachine.ValueItem(cas: item.cas, envelope: EnvelopeCoding.envelope(in: item.value, for: entry.key))
        }
        let groups = groups(answer.generations, of: entry.groups)
        let read = ReadMachine.Read(item: item, groups: groups, wasPending: answer.wasPending)
        return informed(read.detached(), entry)
    }

    /// What was read, with what this process knows of it.
    func informed(_ parsed: ReadMachine.Read, _ entry: CacheEntry) -> ReadMachine.Read {
        var read = parsed
        if let record = read.item?.record, !isAccepted(record, entry.key) { read = read.withGarbage(.otherServers) }
        if let lease = read.item?.envelope?.lease { read.leaseHere = flights.state(of: lease.token) }
        if case .stamps(let reading) = read.groups,
            let left = read.item?.record?.identity ?? read.item?.envelope?.lease?.token
        {
            read.failure = failures.failure(of: entry.key, left: left, stamps: reading.stamps)
        }
        return read
    }

    /// Whether an invalidation of what is going to be read has failed.
    private func wasPending(_ entry: CacheEntry) -> Bool {
        pending.names(entry, in: store) && !PlantedMistake.trustPendingRead.isPlanted
    }

    /// Whether what was read is nothing to this process, since an invalidation that names it has failed here, or had when
    /// it was read.
    func isPending(_ entry: CacheEntry, _ read: ReadMachine.Read) -> Bool {
        read.wasPending || pending.names(entry, in: store)
    }

    /// Whether a value was cached under a list of servers that has its key where this process reads it, or under which
    /// every process invalidates it here.
    @inline(__always)
    func isAccepted(_ record: CachedRecord, _ key: StoreKey) -> Bool {
        store.accepts(listNumber: record.list, for: key) || PlantedMistake.acceptAnyList.isPlanted
    }

    func groups(_ items: [StoreItem?], of groups: [StoreKey]) -> ReadMachine.Groups {
        var reading = GroupReading()
        var plantings: [ReadMachine.Planting] = []
        for group in groups.indices {
            let item = items[group]
            if let item, let generation = EnvelopeCoding.generation(in: item.value, for: groups[group]) {
                reading.append(generation)
            } else {
                let stamp = GroupStamp.random(for: groups[group], isPlanted: true)
                plantings.append(.init(group: group, stamp: stamp, over: item?.cas))
            }
        }
        return plantings.isEmpty ? .stamps(reading) : .incomplete(plantings)
    }

    /// Reports the groups that had a stamp when a value was cached, and have none.
    func reportLost(_ plantings: [ReadMachine.Planting], _ read: ReadMachine.Read, _ entry: CacheEntry) {
        guard let stamps = read.item?.record?.stamps, stamps.count == entry.groups.count else { return }
        for planting in plantings {
            report(
                CacheEvent(
                    kind: .stampLost, key: entry.groups[planting.group], function: entry.options.function))
        }
    }

    /// Gives groups their stamps, and says what stands there then, since another caller may have been faster; `nil`,
    /// reported, when the store failed.
    func plant(_ plantings: [ReadMachine.Planting], of entry: CacheEntry) async throws -> Answer? {
        let writes = writes(plantings, of: entry.groups)
        let wasPending = wasPending(entry)
        do {
            let (item, generations) = try await store.get(entry.key, with: entry.groups, after: writes)
            for (planting, write) in zip(plantings, writes)
            where generations[planting.group].map({ Array($0.value) == write.value }) == true {
                report(CacheEvent(kind: .stampPlanted, key: write.key, function: entry.options.function))
            }
            return Answer(item: item, generations: generations, wasPending: wasPending)
        } catch {
            try report(trouble: error, entry)
            return nil
        }
    }

    /// Gives groups their stamps in a part of the store. Another caller may be faster.
    func plant(
        _ plantings: [ReadMachine.Planting], of groups: [StoreKey], _ entry: CacheEntry, in part: any CacheStore
    ) async throws {
        let writes = writes(plantings, of: groups)
        for (write, outcome) in zip(writes, await part.writeUnique(writes)) where try outcome.get().isStored {
            report(CacheEvent(kind: .stampPlanted, key: write.key, function: entry.options.function))
        }
    }

    private func writes(_ plantings: [ReadMachine.Planting], of groups: [StoreKey]) -> [UniqueValue] {
        plantings.map { planting in
            let (group, generation) = (groups[planting.group], Generation(stamp: planting.stamp))
            return UniqueValue(group, value: EnvelopeCoding.encode(generation, for: group), over: planting.over)
        }
    }

    /// Writes an envelope, which no other write has: it carries a token.
    func write(
        _ write: Fill.Write, to key: StoreKey, over cas: StoreItem.CAS?, in part: any CacheStore
    ) async throws -> StoreWrite {
        let bytes = EnvelopeCoding.encode(write.envelope, for: key)
        return try await part.writeUnique(key, value: bytes, over: cas, expiry: write.expiry)
    }
}
