/// Many values at once: what is cached in one round trip to each part of the store, and one load of what is not.
///
/// Each element goes by the same rules as a call by itself. Those that need nothing but a lease take it together, and are
/// loaded and stored together; the others, which wait for another's load, say, go their way alone.
extension ReadThroughCache {
    /// The values of many keys of one function, each as ``value(of:_:load:)`` has it.
    ///
    /// - Returns: what each has come to, in the order of the keys. A key that is there twice is loaded once.
    /// - Throws: `CancellationError` as soon as the calling task is cancelled.
    public func values<Value: Sendable>(
        of entries: BatchEntries, _ coder: any PayloadCoder<Value>, load loader: BatchLoader<Value>
    ) async throws -> BatchValues<Value> {
        let keys = entries.keys
        if keys.isEmpty { return BatchValues([Value]()) }
        let call = BatchCall(
            entries: entries, coder: coder, loader: loader, results: BatchResults(count: keys.count))
        let (values, misses) = try await read(Array(keys.indices), call)
        if misses.isEmpty { return BatchValues(values) }
        var found = values.makeIterator()
        var firsts: [StoreKey: Int] = [:]
        var (first, others) = ([BatchMiss](), [(number: Int, first: Int)]())
        for miss in misses {
            let key = keys[miss.number]
            if let number = firsts[key] {
                others.append((miss.number, number))
            } else {
                firsts[key] = miss.number
                first.append(miss)
            }
        }
        try await loadInTime(first, call)
        var results = call.results.all
        for (number, first) in others { results[number] = results[first] }
        var missed = misses.makeIterator()
        var next = missed.next()
        return BatchValues(
            keys.indices.map { number -> Result<Value, any Error> in
                if next?.number == number {
                    next = missed.next()
                    return results[number] ?? .failure(CancellationError())
                }
                return found.next().map { .success($0) } ?? .failure(CancellationError())
            })
    }

    // MARK: Reading

    /// The values that are cached and fresh, in the order of their numbers, and the others.
    private func read<Value>(
        _ numbers: [Int], _ call: BatchCall<Value>
    ) async throws -> (values: [Value], misses: [BatchMiss]) {
        let order = held.order
        let wasPending = pending.naming(numbers, of: call.entries, in: store)
        let answer = try await ask(for: numbers, of: call.entries)
        var misses: [BatchMiss] = []
        // Where `append` would look up metadata for each value.
        let values = [Value](unsafeUninitializedCapacity: numbers.count) { buffer, count in
            // Those of all, as a rule, which need not be looked up for each.
            let groupsOfAll = answer.groupsOfAll
            for (place, number) in numbers.enumerated() {
                guard let groups = groupsOfAll ?? answer.groups(place) else {
                    misses.append(BatchMiss(number: number))
                    continue
                }
                do {
                    let value = try hit(
                        among: answer.items[place], groups,
                        wasPending: !wasPending.isEmpty && wasPending.contains(number), call.entry(number), call.coder,
                        order)
                    if call.policy.audit != nil {
                        audit(value, call.entry(number), call.coder, call.loader.one(number))
                    }
                    buffer.initializeElement(at: count, to: value)
                    count += 1
                } catch {
                    misses.append(BatchMiss(number: number, read: (error as? NoHit)?.read))
                }
            }
        }
        return (values, misses)
    }

    /// Reads elements again, and serves what is cached and fresh.
    private func readAgain<Value>(_ numbers: [Int], _ call: BatchCall<Value>) async throws -> [BatchMiss] {
        let (values, misses) = try await read(numbers, call)
        let missed = Set(misses.map(\.number))
        for (number, value) in zip(numbers.filter { !missed.contains($0) }, values) {
            call.results.set(number, .success(value))
        }
        return misses
    }

    // MARK: What is not cached

    /// Loads elements, for as long as the call may wait.
    private func loadInTime<Value>(_ misses: [BatchMiss], _ call: BatchCall<Value>) async throws {
        guard let patience = call.policy.loadTimeout.soft else { return try await load(misses, call) }
        let misses = try await completed(misses, call)
        do {
            try await within(patience, nil) { try await self.load(misses, call) }
        } catch is Impatience {
            for miss in misses where !call.results.has(miss.number) {
                let result = Result { try valueInHaste(miss.read, call.entry(miss.number), call.coder) }
                call.results.set(miss.number, result)
            }
        }
    }

    private func load<Value>(_ misses: [BatchMiss], _ call: BatchCall<Value>) async throws {
        guard call.loader.many != nil else { return try await loadEach(misses, call) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            var (misses, claims) = (misses, [BatchLease<Value>]())
            var place: LoadPlace?
            defer { place?.leave() }
            var departure: BatchDeparture<Value>?
            // Whoever had to wait for a place reads again.
            while !misses.isEmpty {
                misses = try await completed(misses, call)
                let plan = plan(misses, call)
                // At once, as long as what was read is what is there.
                start(plan.alone, call, in: &group)
                start(plan.unleased, call, in: &group)
                claims = plan.claims
                guard !plan.leases.isEmpty else { break }
                let gates = gates(of: call.entry(0))
                if let place = place.take() ?? LoadPlace.now(in: gates) {
                    departure = depart(plan.leases, call, place, .forCaller)
                    start(departure?.others ?? [], call, in: &group)
                    break
                }
                claims = []
                misses = serveStale(plan.leases, call)
                guard !misses.isEmpty else { break }
                do { place = try await placeInTurn(for: call.entry(misses[0].number), gates) } catch {
                    if error is CancellationError { throw error }
                    for miss in misses { call.results.set(miss.number, .failure(error)) }
                    break
                }
                misses = try await readAgain(misses.map(\.number), call)
            }
            place.take()?.leave()
            // After what the caller waits for, or it would wait for this.
            refresh(claims, call)
            if let departure { try await wait(for: departure, call, &group) }
            try await group.waitForAll()
        }
    }

    /// What was read, with the stamps of groups that values have of their own.
    private func completed<Value>(_ misses: [BatchMiss], _ call: BatchCall<Value>) async throws -> [BatchMiss] {
        guard misses.contains(where: { $0.read?.hasOwnGroups == true }) else { return misses }
        let incomplete = misses.indices.compactMap {
            place -> (place: Int, read: ReadMachine.Read, entry: CacheEntry)? in
            guard let read = misses[place].read, read.hasOwnGroups else { return nil }
            return (place, read, call.entry(misses[place].number))
        }
        return try await withThrowingTaskGroup(of: ([Int], [ReadMachine.Read]?).self) { group in
            for (part, indices) in incomplete.places(by: { store.part(of: $0.entry.key) }) {
                let reads = indices.map { (incomplete[$0].read, incomplete[$0].entry) }
                group.addTask { (indices, try await self.completed(reads, in: part)) }
            }
            var all = misses
            for try await (indices, reads) in group {
                for (number, index) in indices.enumerated() { all[incomplete[index].place].read = reads?[number] }
            }
            return all
        }
    }

    private func start<Value>(
        _ alone: [BatchMiss], _ call: BatchCall<Value>, in group: inout ThrowingTaskGroup<Void, any Error>
    ) {
        if !alone.isEmpty { group.addTask { try await self.loadAlone(alone, call) } }
    }

    private func start<Value>(
        _ unleased: [BatchUnleased], _ call: BatchCall<Value>, in group: inout ThrowingTaskGroup<Void, any Error>
    ) {
        if !unleased.isEmpty { group.addTask { try await self.loadUnleased(unleased, call) } }
    }

    /// What the elements of a batch do next.
    private struct Plan<Value> {
        var leases: [BatchLease<Value>] = []
        /// The same for values that are stale and were served.
        var claims: [BatchLease<Value>] = []
        /// Of those that need more than a lease.
        var alone: [BatchMiss] = []
        /// Of those that nothing in the store can vouch for.
        var unleased: [BatchUnleased] = []
    }

    /// Serves what can be served, and says what the others do next.
    private func plan<Value>(_ misses: [BatchMiss], _ call: BatchCall<Value>) -> Plan<Value> {
        var plan = Plan<Value>()
        for miss in misses {
            let entry = call.entry(miss.number)
            guard let read = miss.read else {
                plan.unleased.append(BatchUnleased(number: miss.number, reason: .storeTrouble))
                continue
            }
            guard !isPending(entry, read) else {
                plan.unleased.append(
                    BatchUnleased(
                        number: miss.number, reason: .invalidationPending,
                        isSettling: pending.settles(entry, in: store)))
                continue
            }
            var machine = ReadMachine(policy: entry.policy, since: clock.elapsed)
            let decision = decide(&machine, informed(read, entry), entry.key, call.coder)
            switch (decision.action, decision.cached) {
            case (.serve, let value?):
                if entry.policy.audit != nil { audit(value, entry, call.coder, call.loader.one(miss.number)) }
                call.results.set(miss.number, .success(served(value, .hit, entry)))
            case (.serveStale(_, let why), let value?):
                if entry.policy.audit != nil {
                    audit(value, isStale: true, entry, call.coder, call.loader.one(miss.number))
                }
                call.results.set(miss.number, .success(served(value, .stale, entry, why)))
            case (.claim(let acquisition, _), let value?):
                let lease = BatchLease(
                    miss: miss, acquisition: acquisition, reason: machine.reason, kept: value, isClaim: true)
                guard entry.policy.refresh == .background || decision.isEarly else {
                    plan.leases.append(lease)
                    continue
                }
                call.results.set(miss.number, .success(served(value, decision.isEarly ? .hit : .stale, entry)))
                plan.claims.append(lease)
            case (.acquire(let acquisition), _):
                do { try LoadFrame.check(entry.key, of: self) } catch {
                    call.results.set(miss.number, .failure(error))
                    continue
                }
                let kept = acquisition.kept.flatMap { try? call.coder.decode($0, under: entry.key) }
                plan.leases.append(
                    BatchLease(miss: miss, acquisition: acquisition, reason: machine.reason, kept: kept))
            case (.loadWithoutLease, _):
                plan.unleased.append(BatchUnleased(miss, reason: machine.reason, at: clock.now))
            default:
                plan.alone.append(miss)
            }
        }
        return plan
    }

    /// Refreshes values in the background that were served stale, if a load may begin at once.
    private func refresh<Value>(_ claims: [BatchLease<Value>], _ call: BatchCall<Value>) {
        guard !claims.isEmpty, let place = LoadPlace.now(in: gates(of: call.entry(0), isPartOfLoad: false)) else {
            return
        }
        _ = depart(claims, call, place, .inBackground(background))
    }

    /// Serves what was cached before where too many loads run, and returns the others.
    private func serveStale<Value>(_ leases: [BatchLease<Value>], _ call: BatchCall<Value>) -> [BatchMiss] {
        leases.compactMap { lease in
            guard let kept = lease.kept, lease.isClaim || call.policy.keeps(after: CacheError.loadLimit) else {
                return lease.miss
            }
            let entry = call.entry(lease.miss.number)
            call.results.set(lease.miss.number, .success(served(kept, .stale, entry, .loadLimit)))
            return nil
        }
    }

    // MARK: Waiting

    /// Waits for the load of this call.
    private func wait<Value>(
        for departure: BatchDeparture<Value>, _ call: BatchCall<Value>,
        _ group: inout ThrowingTaskGroup<Void, any Error>
    ) async throws {
        let begun = try await departure.begun.value()
        var (lost, unleased) = ([Int](), [BatchUnleased]())
        for flight in departure.flights where !begun.contains(flight.lease.miss.number) {
            let (miss, entry) = (flight.lease.miss, flight.flight.entry)
            if flight.lease.isClaim, let stale = flight.lease.kept {
                call.results.set(miss.number, .success(served(stale, .stale, entry)))
                continue
            }
            switch try await flight.flight.load.ownOutcome() {
            case .gone: unleased.append(BatchUnleased(miss, reason: flight.lease.reason, at: clock.now))
            case .trouble: unleased.append(BatchUnleased(miss, reason: .storeTrouble, at: clock.now))
            case .lost, .value, .kept: lost.append(miss.number)
            }
        }
        // While the others are being loaded.
        start(unleased, call, in: &group)
        if !lost.isEmpty {
            group.addTask { [lost] in try await self.loadAlone(self.readAgain(lost, call), call) }
        }
        for flight in departure.flights where begun.contains(flight.lease.miss.number) {
            let (number, entry) = (flight.lease.miss.number, flight.flight.entry)
            do {
                switch try await flight.flight.load.ownOutcome() {
                case .value(let landed):
                    call.results.set(number, .success(served(landed, entry, flight.lease.reason)))
                case .kept(let value, _):
                    call.results.set(number, .success(served(value, .stale, entry, .recentFailure)))
                case .lost, .gone, .trouble: break
                }
            } catch {
                try Task.checkCancellation()
                call.results.set(number, .failure(error))
            }
        }
    }
}
