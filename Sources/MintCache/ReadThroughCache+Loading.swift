import Synchronization

/// Flights: from taking the lease to filling the register.
extension ReadThroughCache {
    /// Starts a flight, or finds the one whose lease is being taken at this moment.
    func depart<Value: Sendable>(
        _ acquisition: Acquisition, _ entry: CacheEntry, _ place: LoadPlace, _ coder: any PayloadCoder<Value>,
        _ start: LoadStarter, _ load: @escaping Loader<Value>
    ) -> (flight: any AnyFlight, own: Flight<Value>?) {
        let flight = Flight<Value>(
            acquisition, entry, place, in: store.part(of: entry.key), list: store.listNumber, order: held.order,
            isBackground: start.isBackground, frame: LoadFrame([entry.key], of: self, token: acquisition.token),
            deadlines: deadlines)
        if let other = enter(flight) {
            place.leave()
            return (other, nil)
        }
        underWay.begin()
        flight.load.runs(in: start { await self.fly(flight, coder, load) })
        return (flight, flight)
    }

    /// Enters a flight, or finds the one of its key whose lease is being taken at this moment.
    func enter(_ flight: some AnyFlight) -> (any AnyFlight)? {
        if let other = flights.enter(flight) { return other }
        // The store has said that there is no fresh value, unless it is refreshed early.
        if flight.entry.policy.whenAway.isHolding, flight.acquisition.keptFreshUntil <= clock.now {
            held.drop(flight.entry.key)
        }
        // However long the load takes, nobody waits for it longer than its lease runs.
        letGo(flight, after: flight.entry.policy.leaseFor)
        return nil
    }

    private func fly<Value: Sendable>(
        _ flight: Flight<Value>, _ coder: any PayloadCoder<Value>, _ load: @escaping Loader<Value>
    ) async {
        defer { underWay.end() }
        guard begins(flight, await takeLease(flight)) else { return flight.place.leave() }
        let began = clock.elapsed
        let isSettling = clock.now < flight.acquisition.settlingUntil
        let result = await LoadFrame.$current.withValue(flight.load.frame) {
            await Result.of {
                try await self.load(load, for: flight, isSettling: isSettling) {
                    lifetime(of: $0, flight.entry.policy, coder) != nil
                }
            }
        }
        let loaded = try? result.get()
        let landing = Landing(
            result: result.map { $0.value }, reported: loaded?.reported, took: clock.elapsed - began,
            isSettling: isSettling, own: loaded?.own,
            freshFor: loaded.flatMap { freshness(of: $0.value, own: $0.own, flight, coder, isSettling: isSettling) })
        guard Task.isCancelled else { return await land(flight, landing, coder) }
        // Nobody waits for it, but the register is to be filled or given back.
        underWay.begin()
        Task.detached { [self] in
            await land(flight, landing, coder)
            underWay.end()
        }
    }

    /// Ends a flight whose lease was not taken, and says whether its load may begin.
    func begins(_ flight: Flight<some Sendable>, _ lease: Result<StoreWrite, any Error>) -> Bool {
        switch lease {
        case .success(let write) where write.isStored:
            flight.lease.stands(as: flight.acquisition.envelope, write.cas)
            flights.started(flight)
            keepLease(of: flight)
            return true
        case .success(.gone):
            // The lease was taken and is lost already, or was not: that is everyday.
            flights.orphan(flight)
            flight.load.end(.success(.gone))
            flight.end(.failed)
            giveBack(flight, .failure(), laterLooks: Self.looksForLateLease)
        case .success:
            // Someone else changed the register first.
            flights.leave(flight)
            flight.load.end(.success(.lost))
            flight.end(.dropped)
        case .failure(let error):
            report(.storeTrouble, flight.entry, error: error)
            // The write may have taken effect all the same, or may do so later; nobody should wait for a load that
            // there is not.
            flights.orphan(flight)
            flight.load.end(.success(.trouble))
            flight.end(.failed)
            let isRefused = (error as? CacheError)?.isRefusal == true
            giveBack(flight, .failure(), laterLooks: isRefused ? [] : Self.looksForLateLease)
        }
        return false
    }

    /// Runs a loader, for as long as it may.
    ///
    /// - Parameter place: is left when the loader has ended, which it may do after this has thrown.
    /// - Returns: what it returned, and the failure that it has reported all the same.
    func run<Value: Sendable>(
        _ load: @escaping Loader<Value>, for entry: CacheEntry, _ place: LoadPlace, isSettling: Bool = false
    ) async throws -> (value: LoadedValue<Value>, reported: (any Error)?) {
        try await run(load, for: [entry], place, isSettling: isSettling)
    }

    /// Runs a loader of values of one function.
    func run<Loaded: Sendable>(
        _ load: @escaping @Sendable @concurrent () async throws -> Loaded, for entries: [CacheEntry],
        _ place: LoadPlace, isSettling: Bool
    ) async throws -> (value: Loaded, reported: (any Error)?) {
        LoadFrame.current?.pass(place.gates)
        func reportAll(_ kind: CacheEvent.Kind, error: (any Error)? = nil, duration: Duration? = nil) {
            for entry in entries { report(kind, entry, error: error, duration: duration) }
        }
        reportAll(.load)
        let (began, failure) = (clock.elapsed, CacheLoad.Report())
        do {
            let value = try await CacheLoad.$isSettling.withValue(isSettling) {
                try await CacheLoad.$report.withValue(failure) {
                    // The answers that a loader asks for are not its caller's.
                    try await AnswerNote.$current.withValue(nil) {
                        try await withHardTimeout(entries[0].policy.loadTimeout.hard) {
                            defer { place.leave() }
                            return try await self.tracing.trace(
                                entries[0].options.function, count: entries.count, load)
                        }
                    }
                }
            }
            let reported = failure.failure.withLock(\.self)
            reportAll(reported == nil ? .loaded : .loadFailed, error: reported, duration: clock.elapsed - began)
            place.note(hasWorked: reported == nil)
            return (value, reported)
        } catch {
            reportAll(.loadFailed, error: error, duration: clock.elapsed - began)
            if !(error is CancellationError) { place.note(hasWorked: false) }
            throw error
        }
    }

    // MARK: The register

    private func takeLease(_ flight: some AnyFlight) async -> Result<StoreWrite, any Error> {
        await .of {
            try await self.write(
                flight.acquisition.lease, to: flight.entry.key, over: flight.acquisition.over, in: flight.store)
        }
    }

    enum FillResult {
        case ended(FillEnd)
        /// The register may carry the token still. It is to be given back as after a load with this outcome.
        case failed(Fill.Outcome)
    }

    func fill(_ flight: some AnyFlight, _ outcome: Fill.Outcome) async -> FillResult {
        filled(flight, outcome, await .of { try await self.write(outcome, flight) })
    }

    /// What came of a fill.
    ///
    /// - Parameter result: what was written; `nil` when the register no longer carried the token.
    func filled(
        _ flight: some AnyFlight, _ outcome: Fill.Outcome, _ result: Result<Envelope?, any Error>
    ) -> FillResult {
        let entry = flight.entry
        do {
            let written = try result.get()
            let end = written == nil ? FillEnd.dropped : .released
            guard case .value(let loaded) = outcome else { return .ended(end) }
            // Its window may be over.
            guard case .value = written else {
                report(.fillDropped, entry, duration: loaded.took)
                return .ended(end)
            }
            report(.fill, entry, duration: loaded.took)
            return .ended(.stored)
        } catch let error as CacheError where error.isRefusal {
            report(error.code == .valueTooLarge ? .notCached : .storeTrouble, entry, error: error)
            // What was cached before is outdated, and the next value would be refused as well.
            return .failed(.nothing)
        } catch {
            report(.storeTrouble, entry, error: error)
            return .failed(.failure())
        }
    }

    /// Writes over the register what ends a load, if it still carries the token.
    ///
    /// - Returns: what was written; `nil` when it does no longer.
    func write(_ outcome: Fill.Outcome, _ flight: some AnyFlight) async throws -> Envelope? {
        let key = flight.entry.key
        // What the store told of the lease saves reading it, if nobody has changed it since.
        if let (envelope, cas) = flight.lease.takeStanding(),
            let write = Fill.write(outcome, under: flight.acquisition, over: envelope, at: clock.now),
            try await self.write(write, to: key, over: cas, in: flight.store).isStored
        {
            return write.envelope
        }
        // A prolongation that the store did not confirm may come late. It carries the token, but is another item.
        for _ in 0..<3 {
            let item = try await flight.store.getForUpdate(key)
            let current = item.flatMap { EnvelopeCoding.envelope(in: $0.value, for: key) }
            guard let write = Fill.write(outcome, under: flight.acquisition, over: current, at: clock.now)
            else { return nil }
            if try await self.write(write, to: key, over: item?.cas, in: flight.store).isStored {
                return write.envelope
            }
        }
        return nil
    }
}

extension CacheError {
    /// The store answered, and said no. What was under the key is there still, or is gone.
    var isRefusal: Bool { code == .valueTooLarge || code == .storeFailure }
}
