/// The way of a call that is no hit.
extension ReadThroughCache {
    /// What the machine says, and the value that it would serve.
    struct Decision<Value> {
        var action: ReadMachine.Action
        var cached: Value?
        /// Whether what is cached is fresh, and refreshed before it is stale.
        var isEarly = false
    }

    /// What becomes of a call that has done what the machine says.
    private enum Step<Value> {
        case done(Value)
        case readAgain
        /// It has read again.
        case read(Answer)
        case loadWithoutLease(CacheEvent.Reason?)
    }

    /// Does what the machine says, reads again, and so on, until there is a value. Not inlined as `hit` is not.
    @inline(never)
    func value<Value: Sendable>(
        on first: ReadMachine.Read, _ entry: CacheEntry, _ coder: any PayloadCoder<Value>,
        _ load: @escaping Loader<Value>
    ) async throws -> Value {
        var machine = ReadMachine(policy: entry.policy, goal: .value, since: clock.elapsed)
        var read = informed(first, entry)
        // A place for a load that was waited for, as long as it is open whether it is needed.
        var place: LoadPlace?
        defer { place?.leave() }
        // What an invalidation names that has failed here is invalid for this process until it has been repeated,
        // whoever may hold the register.
        while true {
            guard let whole = try await completed(read, entry) else {
                place.take()?.leave()
                return try await loadUnleased(entry, coder, load)
            }
            read = whole
            if isPending(entry, read) { break }
            let decision = decide(&machine, read, entry.key, coder)
            // Whoever waits for something else, or loads beside the protocol, keeps no other from loading.
            if !decision.action.isLoad { place.take()?.leave() }
            if case .plant(let plantings) = decision.action { reportLost(plantings, read, entry) }
            switch try await act(on: decision, machine.reason, entry, coder, load, &place) {
            case .done(let value): return value
            case .loadWithoutLease(let reason):
                let isSettling = read.isSettling(at: clock.now)
                return try await loadUnleased(entry, coder, load, isSettling: isSettling, reason: reason)
            case .read(let answer): read = self.read(answer, entry)
            case .readAgain:
                guard let again = try await ask(for: entry) else {
                    place.take()?.leave()
                    return try await loadUnleased(entry, coder, load)
                }
                read = self.read(again, entry)
            }
        }
        place.take()?.leave()
        let isSettling = pending.settles(entry, in: store)
        return try await loadUnleased(entry, coder, load, isSettling: isSettling, reason: .invalidationPending)
    }

    func decide<Value>(
        _ machine: inout ReadMachine, _ read: ReadMachine.Read, _ key: StoreKey, _ coder: any PayloadCoder<Value>
    ) -> Decision<Value> {
        let now = ReadMachine.Moment(wall: clock.now, elapsed: clock.elapsed)
        let action = machine.fetched(read, at: now)
        guard let record = action.record else { return Decision(action: action) }
        do {
            return Decision(action: action, cached: try coder.decode(record, under: key), isEarly: read.isEarly)
        } catch {
            let reason = record.payload.tag == coder.tag ? CacheEvent.Reason.undecodable : .otherFormat
            return Decision(action: machine.fetched(read.withGarbage(reason), at: now))
        }
    }

    private func act<Value: Sendable>(
        on decision: Decision<Value>, _ reason: CacheEvent.Reason?, _ entry: CacheEntry,
        _ coder: any PayloadCoder<Value>, _ load: @escaping Loader<Value>, _ held: inout LoadPlace?
    ) async throws -> Step<Value> {
        switch decision.action {
        case .serve(let record):
            if let cached = decision.cached {
                if entry.policy.audit != nil { audit(cached, entry, coder, load) }
                return .done(served(cached, .hit, entry, of: record))
            }
        case .serveStale(let record, let why):
            if let cached = decision.cached {
                if entry.policy.audit != nil { audit(cached, isStale: true, entry, coder, load) }
                return .done(served(cached, .stale, entry, why, of: record))
            }
        case .claim(let acquisition, _):
            let isBackground = entry.policy.refresh == .background || decision.isEarly
            let start = isBackground ? LoadStarter.inBackground(background) : .forCaller
            guard let place = held.take() ?? LoadPlace.now(in: gates(of: entry, isPartOfLoad: !isBackground))
            else {
                if let cached = decision.cached { return .done(serve(cached, decision, entry, .loadLimit)) }
                break
            }
            let (_, own) = depart(acquisition, entry, place, coder, start, load)
            if let own, !isBackground {
                switch try await own.load.ownOutcome() {
                case .value(let landed): return .done(served(landed, entry, reason))
                case .kept(let value, _):
                    return .done(served(value, .stale, entry, .recentFailure, of: acquisition.kept))
                case .lost, .gone, .trouble: break
                }
            }
            if let cached = decision.cached { return .done(serve(cached, decision, entry)) }
        case .acquire(let acquisition):
            try LoadFrame.check(entry.key, of: self)
            let gates = gates(of: entry)
            guard let place = held.take() ?? LoadPlace.now(in: gates) else {
                if let kept = acquisition.kept, entry.policy.keeps(after: CacheError.loadLimit),
                    let value = try? coder.decode(kept, under: entry.key)
                {
                    return .done(served(value, .stale, entry, .loadLimit, of: kept))
                }
                // What stands there then is read again.
                held = try await placeInTurn(for: entry, gates)
                break
            }
            let (flight, own) = depart(acquisition, entry, place, coder, .forCaller, load)
            if let own { return step(try await own.load.ownOutcome(), acquisition, entry, reason) }
            // Whoever waited for the start may share the load whatever it read: the load begins after that.
            return try await share(flight, entry, reason, isBeforeLoad: true)
        case .wait(let wait):
            try LoadFrame.check(entry.key, of: self)
            try LoadFrame.check(wait.token, of: entry.key)
            return try await self.wait(wait, entry, reason)
        case .fail(let failure):
            throw shared(failure, entry)
        case .plant(let plantings):
            return try await plant(plantings, of: entry).map { .read($0) } ?? .loadWithoutLease(.storeTrouble)
        case .readAgain:
            break
        case .loadWithoutLease:
            return .loadWithoutLease(reason)
        }
        return .readAgain
    }

    /// Serves what is cached while it is refreshed.
    private func serve<Value>(
        _ value: Value, _ decision: Decision<Value>, _ entry: CacheEntry, _ reason: CacheEvent.Reason? = nil
    ) -> Value {
        served(value, decision.isEarly ? .hit : .stale, entry, reason, of: decision.action.record)
    }

    private func step<Value>(
        _ outcome: FlightOutcome<Value>, _ acquisition: Acquisition, _ entry: CacheEntry,
        _ reason: CacheEvent.Reason?
    ) -> Step<Value> {
        switch outcome {
        case .value(let landed): .done(served(landed, entry, reason))
        case .kept(let value, _): .done(served(value, .stale, entry, .recentFailure, of: acquisition.kept))
        case .lost: .readAgain
        case .gone: .loadWithoutLease(reason)
        case .trouble: .loadWithoutLease(.storeTrouble)
        }
    }

    private func shared(_ failure: RecentFailures.Failure, _ entry: CacheEntry) -> CacheError {
        report(.failureShared, entry, error: failure.error)
        return CacheError(
            .recentFailure,
            "a load of this value failed \((clock.elapsed - failure.at).inMilliseconds) ms ago, and its error is shared: "
                + "the next one may begin when the duration of errorSharing is over",
            keys: [entry.key], underlying: failure.error)
    }

    // MARK: Loads of others

    /// Waits for the load of another caller, in this process or not.
    private func wait<Value: Sendable>(
        _ wait: ReadMachine.Wait, _ entry: CacheEntry, _ reason: CacheEvent.Reason?
    ) async throws -> Step<Value> {
        switch flights.state(of: wait.token) {
        case .loading(let flight)
        where wait.shares(flight.acquisition) && !flight.acquisition.hasSettled(by: clock.now):
            return try await share(flight, entry, reason)
        case .loading(let flight): try await flight.waitForFill()
        case .landed(let flight) where !wait.shares(flight.acquisition) || flight.acquisition.hasSettled(by: clock.now):
            try await flight.waitForFill()
        case .landed(let flight):
            // The token was read when this call had begun, so no invalidation came between: its value is as good as one
            // from the store.
            if let flight = flight as? Flight<Value>, let value = try await flight.landedValue() {
                AnswerNote.current?.note(.sharedLoad)
                return .done(served(value, .miss, entry, reason, isShared: true))
            }
            try await flight.waitForFill()
        case .ended, .orphaned: break
        case .unknown: try await clock.sleep(for: wait.pause)
        }
        return .readAgain
    }

    /// The value of another caller's load, if it is of this type and there is anything to share.
    ///
    /// - Parameter isBeforeLoad: whether the load begins after this caller has come: then it may share whatever it returns.
    private func share<Value: Sendable>(
        _ flight: any AnyFlight, _ entry: CacheEntry, _ reason: CacheEvent.Reason?, isBeforeLoad: Bool = false
    ) async throws -> Step<Value> {
        guard let flight = flight as? Flight<Value> else {
            try await flight.waitForFill()
            return .readAgain
        }
        switch try await flight.load.sharedOutcome() {
        case .kept?, nil: return .readAgain
        case .value(let landed)? where !landed.isForAll && !isBeforeLoad:
            try await flight.waitForFill()
            return .readAgain
        case .value(let landed)?: return .done(served(landed, entry, reason, isShared: true))
        case let outcome?: return step(outcome, flight.acquisition, entry, reason)
        }
    }

    // MARK: Loads without a lease

    /// The value of a load that nothing in the store vouches for and that is not stored.
    func loadUnleased<Value: Sendable>(
        _ entry: CacheEntry, _ coder: any PayloadCoder<Value>, _ load: @escaping Loader<Value>,
        isSettling: Bool = false, reason: CacheEvent.Reason? = .storeTrouble
    ) async throws -> Value {
        let reason = isDisabled ? .disabled : reason
        if reason == .storeTrouble, let value: Value = heldValue(of: entry) { return value }
        try LoadFrame.check(entry.key, of: self)
        let gates = gates(of: entry)
        let value = try await unleased.value(
            of: [entry.key], in: self, bound: entry.policy.leaseFor, start: .forCaller,
            isAlone: gates.count < self.gates(of: entry, isPartOfLoad: false).count
        ) { [self] in
            let (order, began) = (held.order, clock.elapsed)
            let loaded = try await run(load, for: entry, placeInTurn(for: entry, gates), isSettling: isSettling)
            if reason == .storeTrouble, loaded.reported == nil, !isSettling {
                hold(loaded: loaded.value, entry, coder, order, since: began)
            }
            return loaded.value.value
        }
        return served(value, .miss, entry, reason)
    }
}

extension Duration {
    var inMilliseconds: Int64 { wholeMicroseconds / 1000 }
}
