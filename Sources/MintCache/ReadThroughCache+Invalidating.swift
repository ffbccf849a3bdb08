/// Invalidations. They are sent whatever becomes of the task that asks for them.
extension ReadThroughCache {
    /// Removes what is cached under some keys, and begins a new generation of some groups, all at the same time: at the
    /// cost of one write for each key, and one for each group and part of the store. A call that begins after this
    /// returned gets no value whose load began before.
    ///
    /// - Throws: what the store throws; then the promise is not kept for the keys that the error names, and the call is
    ///   to be repeated. `CancellationError` as soon as the task is cancelled; the invalidations are sent all the same.
    public func invalidate(_ keys: [StoreKey], groups: [StoreKey] = []) async throws {
        let targets = keys.map(PendingInvalidations.Target.key) + groups.map(PendingInvalidations.Target.group)
        let sent = Promise<Void>()
        underWay.begin()
        // Detached: a caller that has gone does not need it any less.
        Task.detached(priority: Task.currentPriority) { [self] in
            sent.resolve(
                await Result.of {
                    try await CacheError.collecting(targets, key: \.key) { target in
                        do { try await self.perform(target) } catch {
                            self.report(.invalidationFailed, target, error)
                            throw error
                        }
                    }
                })
            underWay.end()
        }
        try await sent.value()
    }

    private func perform(_ target: PendingInvalidations.Target) async throws {
        switch target {
        case .key(let key):
            failures.forget(key)
            try await remove(key)
        case .group(let group):
            try await CacheError.collecting(store.parts, key: { _ in group }) { part in
                try await self.invalidate(generation: group, in: part)
            }
        }
        report(.invalidation, target)
    }

    /// Removes what stands under a key wherever it may be read.
    func remove(_ key: StoreKey) async throws {
        try await CacheError.collecting(store.parts(of: key), key: { _ in key }) { _ = try await $0.delete(key) }
    }

    private func invalidate(generation group: StoreKey, in part: any CacheStore) async throws {
        do {
            try await beginGeneration(of: group, in: part)
        } catch let error as CacheError where error.code == .unavailable {
            // The connection may have been broken since the server was restarted: a new one tells. With a new stamp,
            // since the first one may have arrived, and arriving again would undo an invalidation that came between.
            try await beginGeneration(of: group, in: part)
        }
    }

    private func beginGeneration(of group: StoreKey, in part: any CacheStore) async throws {
        do {
            let stamp = GroupStamp.random(for: group, isPlanted: false)
            try await part.set(group, to: EnvelopeCoding.encode(stamp, for: group), expiry: nil)
        } catch let error as CacheError where error.isRefusal {
            // A full server takes no new stamp. Without the old one the values are as invalid: the next read plants
            // another.
            _ = try await part.delete(group)
        }
    }

    // MARK: Repeating

    /// Invalidates what a target names, and should that fail, again and again beside whatever else is to be done.
    ///
    /// It returns at once, unless so many are being repeated that there is no room for one more.
    ///
    /// - Parameter whenDone: is told when it has succeeded, or that it was given up because the store was shut down.
    /// - Throws: `CancellationError` when the task is cancelled while it waits for room.
    package func insistOnInvalidating(
        _ target: PendingInvalidations.Target, whenDone: @escaping PendingInvalidations.WhenDone
    ) async throws {
        while let room = insist(on: target, whenDone: whenDone) { try await room.value() }
    }

    /// - Returns: what to wait for before this is called again; `nil` when it has been done.
    @discardableResult
    func insist(
        on target: PendingInvalidations.Target, hasFailed: Bool = false, whenDone: PendingInvalidations.WhenDone? = nil
    ) -> Promise<Void>? {
        let (isNew, noRoom) = pending.add(target, hasFailed: hasFailed, whenDone: whenDone)
        guard isNew else { return noRoom }
        underWay.begin()
        Task.detached { [self] in
            await attemptUntilDone(target)
            underWay.end()
        }
        return nil
    }

    private func attemptUntilDone(_ target: PendingInvalidations.Target) async {
        let fresh = Backoff(first: .milliseconds(50), longest: .seconds(5))
        var backoff = fresh
        while true {
            pending.begin(target)
            do {
                try await perform(target)
                if pending.end(target, gaveUp: false) { return }
                backoff = fresh
            } catch let error as CacheError where error.code == .shutDown {
                report(.invalidationLost, target, error)
                _ = pending.end(target, gaveUp: true)
                return
            } catch {
                pending.fail(target)
                report(.invalidationFailed, target, error)
                try? await clock.sleep(for: backoff.next())
            }
        }
    }

    private func report(
        _ kind: CacheEvent.Kind, _ target: PendingInvalidations.Target, _ error: (any Error)? = nil
    ) {
        report(CacheEvent(kind: kind, key: target.key, error: error))
    }
}
