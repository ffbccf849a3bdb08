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

/// Flights of several keys, with one load.
extension ReadThroughCache {
    /// Starts flights, but for keys whose leases are being taken at this moment.
    func depart<Value: Sendable>(
        _ leases: [BatchLease<Value>], _ call: BatchCall<Value>, _ place: LoadPlace, _ start: LoadStarter
    ) -> (flights: [BatchFlight<Value>], others: [BatchMiss]) {
        let frame = LoadFrame(of: self)
        var (flights, others) = ([BatchFlight<Value>](), [BatchMiss]())
        for lease in leases {
            let entry = call.entry(lease.miss.number)
            // Nobody who leaves cancels what others of the batch wait for.
            let flight = Flight<Value>(
                lease.acquisition, entry, in: store.part(of: entry.key), list: store.listNumber, order: held.order,
                isBackground: true, frame: frame, deadlines: deadlines)
            guard enter(flight) == nil else {
                others.append(lease.miss)
                continue
            }
            frame.add([entry.key], token: lease.acquisition.token)
            flights.append(BatchFlight(lease: lease, flight: flight))
        }
        guard !flights.isEmpty else {
            place.leave()
            return ([], others)
        }
        underWay.begin()
        let task = start { [flights] in await self.fly(flights, frame, call, place) }
        for flight in flights { flight.flight.load.runs(in: task) }
        return (flights, others)
    }

    private func fly<Value: Sendable>(
        _ flights: [BatchFlight<Value>], _ frame: LoadFrame, _ call: BatchCall<Value>, _ place: LoadPlace
    ) async {
        defer { underWay.end() }
        let leases = await write(flights.map { ($0.flight, $0.lease.acquisition.lease, $0.lease.acquisition.over) })
        let begun = zip(flights, leases).filter { begins($0.flight, $1) }.map(\.0)
        guard !begun.isEmpty else { return place.leave() }
        let landings = await LoadFrame.$current.withValue(frame) { await run(begun, call, place) }
        var fills: [(flight: Flight<Value>, outcome: Fill.Outcome)] = []
        for (flight, landing) in zip(begun, landings) {
            fills.append((flight.flight, await handOn(landing, flight.flight, call.coder)))
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
        let loaded = await Result.of {
            try await self.run(
                { try await self.loadMany(numbers, call) }, for: numbers.map(call.entry), place,
                isSettling: isSettling.contains(true))
        }
        let (took, reported) = (clock.elapsed - began, (try? loaded.get())?.reported)
        return numbers.indices.map { index in
            Landing(
                result: loaded.flatMap { $0.value[index] }, reported: reported, took: took,
                isSettling: isSettling[index])
        }
    }

    /// What the loader of many returns, for each of the elements.
    func loadMany<Value: Sendable>(
        _ numbers: [Int], _ call: BatchCall<Value>
    ) async throws -> [Result<Value, any Error>] {
        guard let many = call.loader.many else { preconditionFailure("there is no loader of many") }
        let values = try await many(numbers)
        guard values.count == numbers.count else {
            throw CacheError(
                .incompleteBatch,
                "a batch loader returned \(values.count) values for \(numbers.count) elements: it is to return one for each, "
                    + "in their order, nil for those that it has none of", keys: numbers.map { call.keys[$0] })
        }
        return zip(numbers, values).map { number, value in
            guard let value else {
                let error = CacheError(
                    .incompleteBatch,
                    "a batch loader has no value of this element: catch this, or cache optional values",
                    keys: [call.keys[number]])
                return .failure(error)
            }
            return .success(value)
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
        var results: [FillResult] = []
        for (place, fill) in fills.enumerated() {
            if let result = written[place] {
                results.append(filled(fill.flight, fill.outcome, result))
            } else {
                results.append(await self.fill(fill.flight, fill.outcome))
            }
        }
        return results
    }

    /// Writes over registers, in one round trip to each part of the store, and says what became of each.
    private func write<Value: Sendable>(
        _ writes: [(flight: Flight<Value>, write: Fill.Write, cas: StoreItem.CAS?)]
    ) async -> [Result<StoreWrite, any Error>] {
        let parts = Dictionary(grouping: writes.indices) { writes[$0].flight.part.id }
        return await withTaskGroup(of: (places: [Int], outcomes: [Result<StoreWrite, any Error>]).self) { group in
            for places in parts.values {
                let part = writes[places[0]].flight.store
                let values = places.map { place in
                    let (key, write) = (writes[place].flight.entry.key, writes[place].write)
                    return UniqueValue(
                        key, value: EnvelopeCoding.encode(write.envelope, for: key), over: writes[place].cas,
                        expiry: write.expiry)
                }
                group.addTask { (places, await part.writeUnique(values)) }
            }
            var outcomes = [Result<StoreWrite, any Error>](repeating: .success(.notStored), count: writes.count)
            for await part in group {
                for (place, outcome) in zip(part.places, part.outcomes) { outcomes[place] = outcome }
            }
            return outcomes
        }
    }
}
