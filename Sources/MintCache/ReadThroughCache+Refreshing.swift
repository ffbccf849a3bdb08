/// Refreshes: loads that begin after the call did, and that have replaced what was cached when the call returns.
extension ReadThroughCache {
    /// The value of a load that begins after this call did, and that has been stored when this returns: nobody reads an
    /// older value from then on. If it cannot be stored, what was cached before is removed instead.
    ///
    /// While the load runs, a value that is cached goes on being served. In this process one refresh of a key runs at a
    /// time, and whoever comes before the next one begins shares that; a load that runs elsewhere is waited for.
    ///
    /// - Throws: as ``value(of:_:load:)``; then what was cached before is cached still.
    public func refresh<Value: Sendable>(
        _ entry: CacheEntry, _ coder: any PayloadCoder<Value>, load: @escaping Loader<Value>
    ) async throws -> Value {
        try LoadFrame.check(entry.key, of: self)
        // A lease that is waited for, and its own.
        let isAlone = gates(of: entry).count < gates(of: entry, isPartOfLoad: false).count
        let value = try await refreshes.value(
            of: [entry.key], in: self, bound: entry.policy.longestLease * 2, start: .forCaller, isAlone: isAlone
        ) { [self] in try await refreshAlone(entry, coder, load) }
        held.invalidate(entry.key, settlingUntil: clock.elapsed)
        report(.miss, entry, reason: .refresh)
        return value
    }

    private func refreshAlone<Value: Sendable>(
        _ entry: CacheEntry, _ coder: any PayloadCoder<Value>, _ load: @escaping Loader<Value>
    ) async throws -> Value {
        guard let answer = try await ask(for: entry) else { return try await refreshUnleased(entry, load) }
        var machine = ReadMachine(policy: entry.policy, goal: .refresh, since: clock.elapsed)
        var read = self.read(answer, entry)
        // A place that was waited for, until it is known whether it is needed.
        var held: LoadPlace?
        defer { held?.leave() }
        while true {
            guard let whole = try await completed(read, entry) else {
                held.take()?.leave()
                return try await refreshUnleased(entry, load)
            }
            read = whole
            if isPending(entry, read) { break }
            let decision = decide(&machine, read, entry.key, coder)
            if !decision.action.isLoad { held.take()?.leave() }
            switch decision.action {
            case .serve, .serveStale, .claim:
                if let value = decision.cached { return value }
            case .acquire(let acquisition):
                let gates = gates(of: entry)
                guard let place = held.take() ?? LoadPlace.now(in: gates) else {
                    held = try await placeInTurn(for: entry, gates)
                    break
                }
                let (flight, own) = depart(acquisition, entry, place, coder, .forCaller, load)
                guard let own else {
                    try await flight.waitForFill()
                    break
                }
                switch try await own.load.ownOutcome() {
                case .value(let landed):
                    await confirm(own, entry)
                    return landed.value
                case .kept(_, let error): throw error
                case .lost: break
                case .gone, .trouble: return try await refreshUnleased(entry, load)
                }
            case .wait(let wait):
                try LoadFrame.check(wait.token, of: entry.key)
                switch flights.state(of: wait.token) {
                case .loading(let flight), .landed(let flight): try await flight.waitForFill()
                case .ended, .orphaned: break
                case .unknown: try await clock.sleep(for: wait.pause)
                }
            case .plant(let plantings):
                reportLost(plantings, read, entry)
                guard let planted = try await plant(plantings, of: entry) else {
                    return try await refreshUnleased(entry, load)
                }
                read = self.read(planted, entry)
                continue
            case .readAgain: break
            case .fail, .loadWithoutLease: return try await refreshUnleased(entry, load)
            }
            guard let again = try await ask(for: entry) else {
                held.take()?.leave()
                return try await refreshUnleased(entry, load)
            }
            read = self.read(again, entry)
        }
        held.take()?.leave()
        return try await refreshUnleased(entry, load)
    }

    /// Waits for the fill, and removes what it was to replace if it did not.
    private func confirm<Value>(_ flight: Flight<Value>, _ entry: CacheEntry) async {
        let end = try? await flight.ownFill.value()
        if end == .stored || end == .released { return }
        // Where nothing was there to be served, what has come since is newer.
        if let old = flight.acquisition.kept?.identity { await remove(old, entry, in: flight.store) }
    }

    /// A load without a lease, and the removal of whatever is cached or being loaded, which may be older.
    private func refreshUnleased<Value: Sendable>(
        _ entry: CacheEntry, _ load: @escaping Loader<Value>
    ) async throws -> Value {
        let place = try await placeInTurn(for: entry, gates(of: entry))
        let value = try await run(load, for: entry, place).value.value
        await delete(entry)
        return value
    }

    /// Removes a value that was to be replaced. A load that runs on it is newer, and keeps its lease.
    private func remove(_ old: LoadToken, _ entry: CacheEntry, in part: any CacheStore) async {
        do {
            for _ in 0..<3 {
                guard let item = try await part.getForUpdate(entry.key) else { return }
                let current = EnvelopeCoding.envelope(in: item.value, for: entry.key)
                guard let write = Fill.removal(of: old, from: current, expiry: entry.policy.leaseExpiry) else { return }
                if try await self.write(write, to: entry.key, over: item.cas, in: part).isStored { return }
            }
        } catch {
            report(.storeTrouble, entry, error: error)
        }
        await delete(entry)
    }

    /// Removes whatever stands there but for the window that it remembers, and keeps that as a failed invalidation if the
    /// store fails.
    private func delete(_ entry: CacheEntry) async {
        var window = Duration.zero
        do {
            if let item = try await store.getForUpdate(entry.key),
                let current = EnvelopeCoding.envelope(in: item.value, for: entry.key)
            {
                window = max(.zero, current.settlingUntil - clock.now)
            }
            try await remove(entry.key, settlingFor: window)
        } catch {
            report(.invalidationFailed, entry, error: error)
            keep(.value(entry.key, of: entry.options.function), settlingFor: window, failedWith: error)
        }
    }
}
