/// An element that takes its lease, and the value that was cached before.
struct BatchLease<Value> {
    var miss: BatchMiss
    var acquisition: Acquisition
    var reason: CacheEvent.Reason?
    var kept: Value?
    /// Whether that may be served still.
    var isClaim = false
}

extension BatchLease: Sendable where Value: Sendable {}

/// An element that is being loaded.
struct BatchFlight<Value: Sendable>: Sendable {
    var lease: BatchLease<Value>
    var flight: Flight<Value>
}

/// The elements whose leases are being taken.
struct BatchDeparture<Value: Sendable>: Sendable {
    var flights: [BatchFlight<Value>] = []
    /// Those whose leases somebody else is taking at this moment.
    var others: [BatchMiss] = []
    /// Which of them have their leases, by their numbers.
    let begun = Promise<Set<Int>>()
}

/// Flights of several keys, with one load.
extension ReadThroughCache {
    /// Starts flights, but for keys whose leases are being taken at this moment.
    ///
    /// Their load is not cancelled when nobody waits for it any more: the hard time-out is what ends one that hangs.
    func depart<Value: Sendable>(
        _ leases: [BatchLease<Value>], _ call: BatchCall<Value>, _ place: LoadPlace, _ start: LoadStarter
    ) -> BatchDeparture<Value> {
        let frame = LoadFrame(of: self)
        var departure = BatchDeparture<Value>()
        for lease in leases {
            let entry = call.entry(lease.miss.number)
            // Nobody who leaves cancels what others of the batch wait for.
            let flight = Flight<Value>(
                lease.acquisition, entry, in: store.part(of: entry.key), list: store.listNumber, order: held.order,
                isBackground: true, frame: frame, deadlines: deadlines)
            guard enter(flight) == nil else {
                departure.others.append(lease.miss)
                continue
            }
            frame.add([entry.key], token: lease.acquisition.token)
            departure.flights.append(BatchFlight(lease: lease, flight: flight))
        }
        guard !departure.flights.isEmpty else {
            place.leave()
            departure.begun.resolve(.success([]))
            return departure
        }
        underWay.begin()
        let task = start { [departure] in await self.fly(departure, frame, call, place) }
        for flight in departure.flights { flight.flight.load.runs(in: task) }
        return departure
    }

    private func fly<Value: Sendable>(
        _ departure: BatchDeparture<Value>, _ frame: LoadFrame, _ call: BatchCall<Value>, _ place: LoadPlace
    ) async {
        defer { underWay.end() }
        let flights = departure.flights
        let leases = await write(flights.map { ($0.flight, $0.lease.acquisition.lease, $0.lease.acquisition.over) })
        var begun: [BatchFlight<Value>] = []
        for (flight, lease) in zip(flights, leases) {
            if begins(flight.flight, lease) {
                begun.append(flight)
            } else {
                frame.remove(flight.flight.entry.key, token: flight.lease.acquisition.token)
            }
        }
        departure.begun.resolve(.success(Set(begun.map { $0.lease.miss.number })))
        guard !begun.isEmpty else { return place.leave() }
        let landings = await LoadFrame.$current.withValue(frame) { await run(begun, call, place) }
        // All callers first: to encode the values takes its time.
        let pauses = zip(begun, landings).map { handOn($1, $0.flight, call.coder) }
        var fills: [(flight: Flight<Value>, outcome: Fill.Outcome)] = []
        for (flight, (landing, pause)) in zip(begun, zip(landings, pauses)) {
            fills.append((flight.flight, await putDown(landing, flight.flight, call.coder, pause)))
        }
        for (landing, (fill, result)) in zip(landings, zip(fills, await self.fill(fills))) {
            finish(fill.flight, landing, fill.outcome, result)
        }
    }

    private func run<Value: Sendable>(
        _ flights: [BatchFlight<Value>], _ call: BatchCall<Value>, _ place: LoadPlace
    ) async -> [Landing<Value>] {
        let (began, now) = (clock.elapsed, clock.now)
        let numbers = flights.map(\.lease.miss.number)
        let isSettling = flights.map { now < $0.lease.acquisition.settlingUntil }
        var loaded = await Result.of {
            try await self.run(
                { try await self.loadMany(numbers, call) }, for: numbers.map(call.entry), place,
                isSettling: isSettling.contains(true))
        }
        let own = await own(of: &loaded, flights, call, place, isSettling: isSettling.contains(true))
        if case .success(let results) = loaded {
            for (number, result) in zip(numbers, results.value) {
                guard case .failure(let error) = result else { continue }
                // How long it took has been told: the load of all has ended.
                report(.loadFailed, call.entry(number), error: error)
            }
        }
        let (took, reported) = (clock.elapsed - began, (try? loaded.get())?.reported)
        return numbers.indices.map { index in
            let result = loaded.flatMap { $0.value[index] }
            return Landing(
                result: result, reported: reported, took: took, isSettling: isSettling[index], own: own[index],
                freshFor: (try? result.get()).flatMap {
                    freshness(
                        of: $0, own: own[index], flights[index].flight, call.coder, isSettling: isSettling[index])
                })
        }
    }

    private typealias BatchResult<Value> = Result<
        (value: [Result<LoadedValue<Value>, any Error>], reported: (any Error)?), any Error
    >

    /// Loads elements once more whose values have groups of their own whose stamps were not read before: see
    /// ``load(_:for:isSettling:)``.
    ///
    /// - Returns: for each, under which groups of its own it may be stored; `nil` when it may not.
    private func own<Value: Sendable>(
        of loaded: inout BatchResult<Value>, _ flights: [BatchFlight<Value>], _ call: BatchCall<Value>,
        _ place: LoadPlace, isSettling: Bool
    ) async -> [[OwnGroup]?] {
        guard var (results, reported) = try? loaded.get() else { return Array(repeating: [], count: flights.count) }
        func groups(_ index: Int) -> [StoreKey] {
            guard let loaded = try? results[index].get(), reported == nil,
                lifetime(of: loaded, call.policy, call.coder) != nil
            else { return [] }
            return loaded.terms?.ownGroups(of: flights[index].flight.entry) ?? []
        }
        var known = flights.map(\.lease.acquisition.own)
        let others = flights.indices.filter { known[$0].stamps(of: groups($0)) == nil }
        let stamps = await stamps(of: others.map { (groups($0), flights[$0].flight) })
        let unknown = zip(others, stamps).compactMap { index, own in own.map { (index: index, own: $0) } }
        let numbers = unknown.map { flights[$0.index].lease.miss.number }
        if !unknown.isEmpty, let place = try? await placeInTurn(for: flights[0].flight.entry, place.gates),
            let again = try? await run(
                { try await self.loadMany(numbers, call) }, for: numbers.map(call.entry), place, isSettling: isSettling)
        {
            for ((index, own), result) in zip(unknown, again.value) { (known[index], results[index]) = (own, result) }
            reported = reported ?? again.reported
            loaded = .success((results, reported))
        }
        return flights.indices.map { known[$0].stamps(of: groups($0)) }
    }

    /// What the loader of many returns, for each of the elements.
    func loadMany<Value: Sendable>(
        _ numbers: [Int], _ call: BatchCall<Value>
    ) async throws -> [Result<LoadedValue<Value>, any Error>] {
        guard let many = call.loader.many else { preconditionFailure("there is no loader of many") }
        let values = try await many(numbers)
        guard values.count == numbers.count else {
            throw CacheError(
                .incompleteBatch,
                "a batch loader returned \(values.count) values for \(numbers.count) elements: it is to return one for each, "
                    + "in their order, nil for those that it has none of", keys: numbers.map { call.entries.keys[$0] })
        }
        return zip(numbers, values).map { number, value in
            guard let value else {
                let error = CacheError(
                    .incompleteBatch,
                    "a batch loader has no value of this element: catch this, or cache optional values",
                    keys: [call.entries.keys[number]])
                return .failure(error)
            }
            return value
        }
    }

    // MARK: The registers

    /// Fills registers, in one round trip to each part where the store has told their CAS ids.
    private func fill<Value: Sendable>(_ fills: [(flight: Flight<Value>, outcome: Fill.Outcome)]) async -> [FillResult]
    {
        var written = [Result<Envelope?, any Error>?](repeating: nil, count: fills.count)
        var writes: [(place: Int, write: Fill.Write, cas: StoreItem.CAS)] = []
        for (place, fill) in fills.enumerated() {
            guard let (envelope, cas) = fill.flight.lease.takeStanding(),
                let write = Fill.write(fill.outcome, under: fill.flight.acquisition, over: envelope, at: clock.now)
            else { continue }
            writes.append((place, write, cas))
        }
        let outcomes = await write(writes.map { (fills[$0.place].flight, $0.write, $0.cas) })
        for (write, outcome) in zip(writes, outcomes) {
            switch outcome {
            case .success(let outcome):
                // Another item stands there: it is to be read.
                if outcome.isStored { written[write.place] = .success(write.write.envelope) }
            case .failure(let error): written[write.place] = .failure(error)
            }
        }
        return await withTaskGroup(of: (Int, FillResult).self) { group in
            var results: [Int: FillResult] = [:]
            for (place, fill) in fills.enumerated() {
                if let result = written[place] {
                    results[place] = filled(fill.flight, fill.outcome, result)
                } else {
                    group.addTask { (place, await self.fill(fill.flight, fill.outcome)) }
                }
            }
            for await (place, result) in group { results[place] = result }
            return fills.indices.map { results[$0] ?? .ended(.dropped) }
        }
    }

    /// Writes over registers, in one round trip to each part of the store, and says what became of each.
    private func write<Value: Sendable>(
        _ writes: [(flight: Flight<Value>, write: Fill.Write, cas: StoreItem.CAS?)]
    ) async -> [Result<StoreWrite, any Error>] {
        await withTaskGroup(of: (places: [Int], outcomes: [Result<StoreWrite, any Error>]).self) { group in
            for (part, places) in writes.places(by: \.flight.part) {
                let values = places.map { place in
                    let (key, write) = (writes[place].flight.entry.key, writes[place].write)
                    return UniqueValue(
                        key, value: EnvelopeCoding.encode(write.envelope, for: key), over: writes[place].cas,
                        expiry: write.expiry)
                }
                group.addTask { (places, await part.store.writeUnique(values)) }
            }
            var outcomes = [Result<StoreWrite, any Error>](repeating: .success(.notStored), count: writes.count)
            for await part in group {
                for (place, outcome) in zip(part.places, part.outcomes) { outcomes[place] = outcome }
            }
            return outcomes
        }
    }
}
