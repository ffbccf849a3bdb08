/// Invalidations that have failed. From then on this process takes what they name for invalid, whoever holds the register, and
/// repeats them until they succeed.
extension ReadThroughCache {
    /// A group as what is repeated in each part by itself.
    package func targets(ofGroup group: StoreKey) -> [InvalidationTarget] {
        store.parts.map { .group(group, in: $0.id) }
    }

    /// Invalidations that have failed and are being repeated, the one that has waited longest first.
    public var pendingInvalidations: [PendingInvalidation] { pending.all(at: clock.elapsed) }

    /// Invalidates what a target names, and should that fail, again and again beside whatever else is to be done.
    ///
    /// It returns at once, unless so many are being repeated that there is no room for one more.
    ///
    /// - Parameter whenDone: is told when it has succeeded, or why it was given up.
    /// - Throws: `CancellationError` when the task is cancelled while it waits for room.
    package func insistOnInvalidating(
        _ target: InvalidationTarget, settlingFor window: Duration,
        whenDone: @escaping PendingInvalidations.WhenDone
    ) async throws {
        while case .noRoom(let room) = insist(on: target, settlingFor: window, whenDone: whenDone) {
            try await room.value()
        }
    }

    /// Keeps an invalidation that has failed, to be repeated.
    func keep(_ target: InvalidationTarget, settlingFor window: Duration, failedWith error: any Error) {
        guard (error as? CacheError)?.code != .shutDown else { return report(.invalidationLost, target, error) }
        // So many are kept already.
        if case .noRoom = insist(on: target, settlingFor: window, failure: error) {
            report(.invalidationLost, target, error)
        }
    }

    private func insist(
        on target: InvalidationTarget, settlingFor window: Duration, failure: (any Error)? = nil,
        whenDone: PendingInvalidations.WhenDone? = nil
    ) -> PendingInvalidations.Added {
        let added = pending.add(
            target, settlingFor: window, failure: failure, at: clock.elapsed, whenDone: whenDone)
        if case .new(let id, let pause) = added {
            if pause == nil { underWay.begin() }
            Task.detached { [self] in await repeatUntilDone(target, id, pause) }
        }
        return added
    }

    private func repeatUntilDone(
        _ target: InvalidationTarget, _ id: PendingInvalidations.ID, _ pause: PendingInvalidations.Pause?
    ) async {
        let fresh = Backoff(first: .milliseconds(50), longest: .seconds(5))
        var (pause, backoff) = (pause, fresh)
        while true {
            if let pause {
                if gaveUp(target, id) { return }
                guard await isOver(pause, of: target, id, after: backoff.next()) else { return }
            }
            pause = nil
            // Whoever ended the pause has said that this is under way.
            while let window = pending.begin(target, id) {
                do { try await perform(target, settlingFor: window) } catch {
                    report(.invalidationFailed, target, error)
                    pause = fail(target, id, error)
                    break
                }
                report(.invalidation, target)
                (pause, backoff) = (nil, fresh)
                pending.end(target, id)
            }
            underWay.end()
            if pause == nil { return }
        }
    }

    /// Waits for a pause to be over, and says whether an attempt is to follow.
    private func isOver(
        _ pause: PendingInvalidations.Pause, of target: InvalidationTarget, _ id: PendingInvalidations.ID,
        after duration: Duration
    ) async -> Bool {
        let ticket = deadlines.schedule(after: duration) { [self] in
            pending.endPause(of: target, id) { underWay.begin() }
        }
        defer { deadlines.cancel(ticket) }
        return (try? await pause.end.value()) == true
    }

    private func fail(
        _ target: InvalidationTarget, _ id: PendingInvalidations.ID, _ error: any Error
    ) -> PendingInvalidations.Pause? {
        guard let error = error as? CacheError, error.code == .shutDown else { return pending.fail(target, id, error) }
        pending.end(target, id, gaveUpFor: error)
        report(.invalidationLost, target, error)
        return nil
    }

    /// Gives up what has failed for too long, and says whether it did.
    private func gaveUp(_ target: InvalidationTarget, _ id: PendingInvalidations.ID) -> Bool {
        let error = CacheError(
            .unavailable,
            "an invalidation has failed for \(repeatsInvalidationsFor), and is given up: what it was for may be served, "
                + "to all processes",
            keys: [target.key])
        guard pending.giveUp(target, id, since: clock.elapsed - repeatsInvalidationsFor, for: error) else {
            return false
        }
        report(.invalidationLost, target, error)
        return true
    }

    /// Tries all that are pending once more, now.
    func repeatPending() {
        for target in pending.targets { pending.endPause(of: target) { underWay.begin() } }
    }
}
