import Synchronization

/// Flights: from taking the lease to filling the register.
extension ReadThroughCache {
    /// Starts a flight, or finds the one whose lease is being taken at this moment.
    func depart<Value: Sendable>(
        _ acquisition: Acquisition, _ entry: CacheEntry, _ place: LoadPlace, _ coder: any PayloadCoder<Value>,
        _ start: LoadStarter, _ load: @escaping Loader<Value>
    ) -> (flight: any AnyFlight, own: Flight<Value>?) {
        let flight = Flight<Value>(
            acquisition, entry, place, in: store.part(of: entry.key).store, list: store.listNumber,
            order: held.order, isBackground: start.isBackground, of: self, deadlines: deadlines)
        if let other = flights.enter(flight) {
            place.leave()
            return (other, nil)
        }
        // The store has said that there is no fresh value.
        if entry.policy.whenAway.isHolding { held.drop(entry.key) }
        underWay.begin()
        // However long the load takes, nobody waits for it longer than its lease runs.
        letGo(flight, after: entry.policy.leaseFor)
        flight.load.runs(in: start { await self.fly(flight, coder, load) })
        return (flight, flight)
    }

    private func fly<Value: Sendable>(
        _ flight: Flight<Value>, _ coder: any PayloadCoder<Value>, _ load: @escaping Loader<Value>
    ) async {
        defer { underWay.end() }
        switch await takeLease(flight) {
        case .won: break
        case .lost:
            flight.place.leave()
            flights.leave(flight)
            flight.load.end(.success(.lost))
            return flight.end(.dropped)
        case .gone:
            flight.place.leave()
            flights.orphan(flight)
            flight.load.end(.success(.gone))
            flight.end(.failed)
            return giveBack(flight, .failure(), laterLooks: Self.looksForLateLease)
        case .trouble(let isRefused):
            flight.place.leave()
            // The write may have taken effect all the same, or may do so later; nobody should wait for a load that
            // there is not.
            flights.orphan(flight)
            flight.load.end(.success(.trouble))
            flight.end(.failed)
            return giveBack(flight, .failure(), laterLooks: isRefused ? [] : Self.looksForLateLease)
        }
        flights.started(flight)
        keepLease(of: flight)
        let began = clock.elapsed
        let isSettling = clock.now < flight.acquisition.settlingUntil
        let result = await LoadFrame.$current.withValue(flight.load.frame) {
            await Result.of { try await self.run(load, for: flight.entry, flight.place, isSettling: isSettling) }
        }
        let landing = Landing(
            result: result.map(\.value), reported: try? result.get().reported, took: clock.elapsed - began,
            isSettling: isSettling)
        guard Task.isCancelled else { return await land(flight, landing, coder) }
        // Nobody waits for it, but the register is to be filled or given back.
        underWay.begin()
        Task.detached { [self] in
            await land(flight, landing, coder)
            underWay.end()
        }
    }

    /// Runs a loader, for as long as it may.
    ///
    /// - Parameter place: is left when the loader has ended, which it may do after this has thrown.
    /// - Returns: what it returned, and the failure that it has reported all the same.
    func run<Value: Sendable>(
        _ load: @escaping Loader<Value>, for entry: CacheEntry, _ place: LoadPlace, isSettling: Bool = false
    ) async throws -> (value: Value, reported: (any Error)?) {
        LoadFrame.current?.pass(place.gates)
        report(.load, entry)
        let (began, failure) = (clock.elapsed, CacheLoad.Report())
        do {
            let value = try await CacheLoad.$isSettling.withValue(isSettling) {
                try await CacheLoad.$report.withValue(failure) {
                    try await withHardTimeout(entry.policy.loadTimeout.hard) {
                        defer { place.leave() }
                        return try await load()
                    }
                }
            }
            let reported = failure.failure.withLock(\.self)
            if let reported { report(.loadFailed, entry, error: reported, duration: clock.elapsed - began) }
            place.note(hasWorked: reported == nil)
            return (value, reported)
        } catch {
            report(.loadFailed, entry, error: error, duration: clock.elapsed - began)
            if !(error is CancellationError) { place.note(hasWorked: false) }
            throw error
        }
    }

    // MARK: The register

    private enum Start {
        /// The lease is held and the load may begin.
        case won
        /// Someone else changed the register first.
        case lost
        /// The lease was taken and is lost already, or was not: that is everyday.
        case gone
        /// The store did not say, so nothing may be filled; or it said no.
        case trouble(isRefused: Bool)
    }

    private func takeLease(_ flight: some AnyFlight) async -> Start {
        let (key, acquisition) = (flight.entry.key, flight.acquisition)
        do {
            let lease = Fill.Write(envelope: acquisition.envelope, expiry: acquisition.expiry)
            let write = try await write(lease, to: key, over: acquisition.over, in: flight.store)
            guard write.isStored else { return write == .gone ? .gone : .lost }
            flight.lease.stands(as: lease.envelope, write.cas)
            return .won
        } catch {
            report(.storeTrouble, flight.entry, error: error)
            return .trouble(isRefused: (error as? CacheError)?.isRefusal == true)
        }
    }

    enum FillResult {
        case ended(FillEnd)
        /// The register may carry the token still. It is to be given back as after a load with this outcome.
        case failed(Fill.Outcome)
    }

    func fill(_ flight: some AnyFlight, _ outcome: Fill.Outcome) async -> FillResult {
        let entry = flight.entry
        do {
            let written = try await write(outcome, flight)
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
