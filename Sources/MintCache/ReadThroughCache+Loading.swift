/// Flights: from taking the lease to filling the register.
extension ReadThroughCache {
    /// Starts a flight, or finds the one whose lease is being taken at this moment.
    func depart<Value: Sendable>(
        _ acquisition: Acquisition, _ entry: CacheEntry, _ coder: any PayloadCoder<Value>,
        _ load: @escaping Loader<Value>
    ) -> (flight: any AnyFlight, own: Flight<Value>?) {
        let flight = Flight<Value>(key: entry.key, acquisition: acquisition)
        if let other = flights.enter(flight) { return (other, nil) }
        Task { @concurrent in await self.fly(flight, entry, coder, load) }
        return (flight, flight)
    }

    private func fly<Value: Sendable>(
        _ flight: Flight<Value>, _ entry: CacheEntry, _ coder: any PayloadCoder<Value>,
        _ load: @escaping Loader<Value>
    ) async {
        let start = await takeLease(flight.acquisition, on: flight.key)
        guard start == .won else {
            flights.leave(flight)
            flight.start.resolve(.success(start))
            flight.abandonSharers()
            // The write may have taken effect all the same; nobody should wait for a load that there is not.
            if start == .trouble {
                await end(flight, .failure)
                flights.end(flight)
            }
            return
        }
        flights.started(flight)
        flight.start.resolve(.success(.won))
        // However long the load takes, nobody waits for it longer than its lease runs.
        let leaseEnd = deadlines.schedule(after: entry.policy.leaseFor) { [flights] in
            flights.leave(flight)
            flight.abandonSharers()
        }
        let began = clock.now
        let result = await Result.of { try await self.run(load, for: flight.key) }
        switch result {
        case .success(let value): await end(flight, outcome(of: value, entry, coder, took: clock.now - began))
        case .failure: await end(flight, .failure)
        }
        deadlines.cancel(leaseEnd)
        flights.end(flight)
        flight.land(result)
    }

    func run<Value: Sendable>(_ load: Loader<Value>, for key: StoreKey) async throws -> Value {
        report(.load, key)
        do {
            return try await load()
        } catch {
            report(.loadFailed, key, error)
            throw error
        }
    }

    private func takeLease(_ acquisition: Acquisition, on key: StoreKey) async -> FlightStart {
        do {
            let bytes = EnvelopeCoding.encode(acquisition.envelope, for: key)
            return try await write(bytes, to: key, over: acquisition.over, acquisition.expiry) ? .won : .lost
        } catch {
            report(.storeTrouble, key, error)
            return .trouble
        }
    }

    private func outcome<Value: Sendable>(
        of value: Value, _ entry: CacheEntry, _ coder: any PayloadCoder<Value>, took: Duration
    ) -> Fill.Outcome {
        guard let ttl = coder.lifetime(of: value) else { return .nothing }
        do {
            return .value(try coder.encode(value), ttl: ttl, staleFor: entry.policy.staleFor, took: took)
        } catch {
            report(.notCached, entry.key, error)
            return .nothing
        }
    }

    /// Fills the register, or gives it back, if it still carries the token of this flight.
    private func end<Value: Sendable>(_ flight: Flight<Value>, _ outcome: Fill.Outcome) async {
        let key = flight.key
        do {
            let item = try await store.get(key)
            let current = item.flatMap { EnvelopeCoding.envelope(in: Array($0.value), for: key) }
            var stored = false
            if let item, let write = Fill.write(outcome, under: flight.acquisition, over: current, at: clock.now) {
                stored = try await store.compareAndSwap(
                    key, expecting: item.cas, with: EnvelopeCoding.encode(write.envelope, for: key),
                    expiry: write.expiry)
            }
            if case .value = outcome { report(stored ? .fill : .fillDropped, key) }
        } catch let error as CacheError where error.code == .valueTooLarge {
            report(.notCached, key, error)
            // memcached drops what stood there when a `set` is too large, but not when a `cas` is.
            await end(flight, .nothing)
        } catch {
            report(.storeTrouble, key, error)
        }
    }
}
