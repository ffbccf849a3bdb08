/// Leases: prolonged while a load runs, given back when one has ended and could not fill.
extension ReadThroughCache {
    // MARK: Prolonging

    /// Sees to it that a load which takes longer than its lease keeps it, up to the longest lease.
    func keepLease(of flight: some AnyFlight) {
        let policy = flight.entry.policy
        // Early enough for the store to take it.
        schedule(after: policy.leaseFor * 3 / 4, flight) { [self] in
            schedule(after: policy.leaseFor / 4, flight) { [self] in report(.loadOverran, flight.entry) }
            prolong(flight, held: policy.leaseFor)
        }
    }

    /// Does something after a time unless the load is over by then.
    private func schedule(
        after duration: Duration, _ flight: some AnyFlight, _ action: @escaping @Sendable () -> Void
    ) {
        let ticket = deadlines.schedule(after: duration, action)
        if !flight.lease.keep(ticket) { deadlines.cancel(ticket) }
    }

    /// - Parameter held: how long the lease runs in all, as it stands. A quarter of `leaseFor` of it is left.
    private func prolong(_ flight: some AnyFlight, held: Duration) {
        let policy = flight.entry.policy
        let longer = min(policy.leaseFor, policy.longestLease - held)
        // A lease that is over has no claim on the register any more, even if nobody has taken that over yet.
        guard longer > .zero, case .loading = flights.state(of: flight.acquisition.token),
            let prolongation = flight.lease.beginProlongation()
        else { return }
        underWay.begin()
        // Nobody is let go while it is open whether the lease goes on.
        letGo(flight, after: policy.leaseFor / 4 + longer)
        Task.detached { [self] in
            let isProlonged = await isProlonged(flight, by: longer)
            prolongation.resolve(.success(()))
            if isProlonged {
                schedule(after: longer, flight) { [self] in prolong(flight, held: held + longer) }
            } else {
                letGo(flight, after: policy.leaseFor / 4)
            }
            underWay.end()
        }
    }

    /// Lets all who share a load go when a time is over.
    func letGo(_ flight: some AnyFlight, after duration: Duration) {
        flight.letGo(after: duration) { [flights] in
            flights.orphan(flight)
            flight.loseLease()
        }
    }

    private func isProlonged(_ flight: some AnyFlight, by duration: Duration) async -> Bool {
        let key = flight.entry.key
        // The register is going to be another item.
        _ = flight.lease.takeStanding()
        do {
            guard let item = try await flight.store.getForUpdate(key) else { return false }
            let current = EnvelopeCoding.envelope(in: item.value, for: key)
            guard let write = Fill.prolongation(of: flight.acquisition, over: current, by: duration) else {
                return false
            }
            let prolonged = try await self.write(write, to: key, over: item.cas, in: flight.store)
            if prolonged.isStored { flight.lease.stands(as: write.envelope, prolonged.cas) }
            return prolonged.isStored
        } catch {
            report(.storeTrouble, flight.entry, error: error)
            return false
        }
    }

    // MARK: Giving back

    /// After how long to look again for a lease that the store did not confirm: it may come after the first look, which
    /// finds none.
    static let looksForLateLease = [Duration.seconds(1), .seconds(5)]

    /// Gives a register back, again and again until the store answers or the lease is over.
    ///
    /// - Parameters:
    ///   - outcome: whether what was cached before is to stay.
    ///   - laterLooks: after how long to look once more, and then once more.
    func giveBack(_ flight: some AnyFlight, _ outcome: Fill.Outcome, laterLooks: [Duration] = []) {
        if PlantedMistake.leaveLeaseBehind.isPlanted { return flights.leave(flight) }
        underWay.begin()
        let until = clock.elapsed + flight.entry.policy.leaseExpiry
        let backoff = Backoff(first: .milliseconds(50), longest: .milliseconds(400))
        Task.detached { [self] in await giveBack(flight, outcome, laterLooks, backoff, until: until) }
    }

    private func giveBack(
        _ flight: some AnyFlight, _ outcome: Fill.Outcome, _ laterLooks: [Duration], _ backoff: Backoff,
        until: Duration
    ) async {
        var backoff = backoff
        guard await !isGivenBack(flight, outcome), clock.elapsed < until else {
            underWay.end()
            guard let later = laterLooks.first, clock.elapsed + later < until else {
                return flights.forget(flight.acquisition.token)
            }
            _ = deadlines.schedule(after: later) { [self] in
                giveBack(flight, outcome, laterLooks: Array(laterLooks.dropFirst()))
            }
            return
        }
        let pause = backoff.next()
        _ = deadlines.schedule(after: pause) { [backoff] in
            Task.detached { [self] in await giveBack(flight, outcome, laterLooks, backoff, until: until) }
        }
    }

    /// Gives a register back if it carries the token still, and says whether it does no longer.
    func isGivenBack(_ flight: some AnyFlight, _ outcome: Fill.Outcome) async -> Bool {
        do {
            _ = try await write(outcome, flight)
            return true
        } catch let error as CacheError where error.isRefusal {
            // A full server refuses to swap and still deletes.
            do {
                _ = try await flight.store.delete(flight.entry.key)
                return true
            } catch {
                report(.storeTrouble, flight.entry, error: error)
                return false
            }
        } catch {
            report(.storeTrouble, flight.entry, error: error)
            return false
        }
    }

    // MARK: Going down

    /// Waits until all loads, fills and invalidations that are under way have ended and all leases have been given
    /// back, and tries invalidations that have failed once more. A load that takes longer than that has its lease given
    /// back: its caller gets its value, and as a rule it is not stored.
    ///
    /// - Parameter patience: how long loads may take still. It is over at once when the task is cancelled.
    public func drain(for patience: Duration) async -> DrainResult {
        repeatPending()
        let hasEnded = await hasEnded(within: patience)
        return DrainResult(hasEnded: hasEnded, pendingInvalidations: pendingInvalidations)
    }

    private func hasEnded(within patience: Duration) async -> Bool {
        let idle = underWay.idle()
        let waiting = Task { try await idle.value() }
        let deadline = deadlines.schedule(after: patience) { waiting.cancel() }
        let hasEnded = await withTaskCancellationHandler {
            await (try? waiting.value) != nil
        } onCancel: {
            waiting.cancel()
        }
        deadlines.cancel(deadline)
        if hasEnded { return true }
        // Detached: a task that was cancelled could ask the store for nothing.
        await Task.detached { [self] in
            await withDiscardingTaskGroup { group in
                for flight in flights.loading {
                    group.addTask { _ = await self.isGivenBack(flight, .failure()) }
                }
            }
        }.value
        return false
    }
}
