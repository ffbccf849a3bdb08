/// What becomes of a load when its loader has returned.
extension ReadThroughCache {
    /// What a loader has come to.
    struct Landing<Value: Sendable>: Sendable {
        var result: Result<LoadedValue<Value>, any Error>
        /// The failure that a loader has reported which returned something.
        var reported: (any Error)?
        var took: Duration
        var isSettling: Bool
        /// The groups of the value's own under which it may be stored; `nil` when it may not, for a group whose stamp was
        /// not read before the load.
        var own: [OwnGroup]? = []
        /// How long it is fresh; `nil` when it is not to be cached.
        var freshFor: Duration?

        var failure: (any Error)? {
            if case .failure(let error) = result { error } else { reported }
        }
    }

    /// The loader has returned: hands its value on, and fills the register.
    func land<Value: Sendable>(
        _ flight: Flight<Value>, _ landing: Landing<Value>, _ coder: any PayloadCoder<Value>
    ) async {
        let pause = handOn(landing, flight, coder)
        let outcome = await putDown(landing, flight, coder, pause)
        finish(flight, landing, outcome, await fill(flight, outcome))
    }

    /// Hands a value on to all who wait for it, and says how long the pause is that follows a failure.
    func handOn<Value: Sendable>(
        _ landing: Landing<Value>, _ flight: Flight<Value>, _ coder: any PayloadCoder<Value>
    ) -> Duration {
        flights.landed(flight)
        // The callers first: storing the value may take as long as the store likes.
        let pause = note(landing.failure, of: flight)
        if let failure = landing.failure, let kept = keptValue(for: failure, of: flight, coder) {
            flight.load.end(.success(.kept(kept, failure)))
        } else {
            flight.load.end(
                landing.result.map { loaded in
                    .value(
                        LandedValue(
                            value: loaded.value, freshFor: landing.freshFor,
                            isForAll: loaded.terms?.ownGroups(of: flight.entry).isEmpty != false))
                })
        }
        return pause
    }

    /// Ends a lease's prolongations, and says what is to be filled.
    func putDown<Value: Sendable>(
        _ landing: Landing<Value>, _ flight: Flight<Value>, _ coder: any PayloadCoder<Value>, _ pause: Duration
    ) async -> Fill.Outcome {
        await flight.lease.putDown(deadlines)
        let outcome = outcome(of: landing, flight, coder, pause)
        // One with groups of its own is read, under their stamps.
        if case .value(let loaded) = outcome, loaded.terms?.groups.isEmpty != false {
            flight.landed.resolve(landing.result.map { $0.value })
        }
        flight.landed.resolve(.success(nil))
        return outcome
    }

    /// The register is filled, or could not be: sees to it that nobody waits for the lease any more.
    func finish<Value: Sendable>(
        _ flight: Flight<Value>, _ landing: Landing<Value>, _ outcome: Fill.Outcome, _ result: FillResult
    ) {
        let isHeld: Bool
        switch result {
        case .failed(let next):
            flights.orphan(flight)
            flight.end(.failed)
            giveBack(flight, next)
            isHeld = true
        case .ended(let end):
            flights.end(flight)
            flight.end(end)
            isHeld = end == .stored
        }
        if isHeld, case .value(let loaded) = outcome { hold(landing, flight, loaded) }
    }

    /// Remembers that a load failed, or that it did not, and says how long the pause is that follows.
    private func note<Value>(_ failure: (any Error)?, of flight: Flight<Value>) -> Duration {
        let (entry, acquisition) = (flight.entry, flight.acquisition)
        guard let failure else {
            failures.forget(entry.key)
            return .zero
        }
        if failure is CancellationError { return .zero }
        let left = entry.policy.replaces(after: failure) ? nil : acquisition.kept?.identity
        return failures.note(
            failure, of: entry.key, left: left ?? acquisition.token,
            stamps: acquisition.stamps, at: clock.elapsed, entry.policy.failurePause)
    }

    /// The value that was cached before, where it may be served in place of an error.
    private func keptValue<Value: Sendable>(
        for error: any Error, of flight: Flight<Value>, _ coder: any PayloadCoder<Value>
    ) -> Value? {
        let policy = flight.entry.policy
        guard let kept = flight.acquisition.kept, !kept.isSettling, policy.keeps(after: error),
            clock.now < flight.acquisition.keptFreshUntil + policy.staleIfError.duration
        else { return nil }
        return try? coder.decode(kept, under: flight.entry.key)
    }

    private func outcome<Value: Sendable>(
        of landing: Landing<Value>, _ flight: Flight<Value>, _ coder: any PayloadCoder<Value>, _ pause: Duration
    ) -> Fill.Outcome {
        let entry = flight.entry
        if let failure = landing.failure {
            if entry.policy.replaces(after: failure) { return .nothing }
            return .failure(pausedUntil: clock.now + pause)
        }
        guard case .success(let loaded) = landing.result else { return .failure() }
        guard let own = landing.own else {
            report(.fillDropped, entry, duration: landing.took)
            return .nothing
        }
        guard let ttl = landing.freshFor else { return .nothing }
        let (value, staleFor) = (loaded.value, loaded.terms?.staleFor)
        do {
            let payload = try coder.encode(value)
            if let flaw = coder.flaw(in: payload, of: value) { report(.changedByCodec, entry, error: flaw) }
            return .value(
                Fill.Loaded(
                    payload: payload, ttl: ttl, keptFor: entry.policy.keptFor(staleFor), took: landing.took,
                    isSettling: landing.isSettling, list: flight.list,
                    terms: ValueTerms(staleFor: staleFor, groups: own)))
        } catch {
            report(.notCached, entry, error: error)
            return .nothing
        }
    }
}
