/// Invalidations. They are sent whatever becomes of the task that asks for them.
extension ReadThroughCache {
    /// Removes what is cached under some keys, and begins a new generation of some groups, all at the same time: at the
    /// cost of one write for each key, and one for each group and part of the store. A call that begins after this
    /// returned gets no value whose load began before.
    ///
    /// - Parameter window: for how long values of loads that begin are settling: fresh until its end at most, and not
    ///   served stale after.
    /// - Throws: what the store throws; then the promise is not kept for the keys that the error names, and the call is
    ///   to be repeated. `CancellationError` as soon as the task is cancelled; the invalidations are sent all the same.
    public func invalidate(
        _ keys: [StoreKey], groups: [StoreKey] = [], settlingFor window: Duration = .zero
    ) async throws {
        try await invalidate(keys.map { .value($0) } + groups.map { .group($0) }, settlingFor: window)
    }

    /// Invalidates what some targets name: see ``invalidate(_:groups:settlingFor:)``.
    package func invalidate(_ targets: [InvalidationTarget], settlingFor window: Duration = .zero) async throws {
        try await send(targets) { try await self.perform($0, settlingFor: window) }
    }

    /// Does something about targets, all at the same time, whatever becomes of the task that asks for it.
    func send(
        _ targets: [InvalidationTarget], _ perform: @escaping @Sendable (InvalidationTarget) async throws -> Void
    ) async throws {
        let targets = PlantedMistake.spareVersion.isPlanted ? Array(targets.prefix(1)) : targets
        let sent = Promise<Void>()
        underWay.begin()
        // Detached: a caller that has gone does not need it any less.
        Task.detached(priority: Task.currentPriority) { [self] in
            sent.resolve(
                await Result.of {
                    try await CacheError.collecting(targets, key: \.key) { target in
                        do { try await perform(target) } catch {
                            self.report(.invalidationFailed, target, error)
                            throw error
                        }
                    }
                })
            underWay.end()
        }
        try await sent.value()
    }

    private func perform(_ target: InvalidationTarget, settlingFor window: Duration) async throws {
        let key = target.key
        switch target.kind {
        case .value:
            failures.forget(key)
            try await remove(key, settlingFor: window)
        case .group:
            try await onEveryPart(of: key) { try await self.invalidate(generation: key, window, in: $0) }
        case .groupIn(let part):
            try await invalidate(generation: key, window, in: parts[part])
        }
        report(.invalidation, target)
    }

    /// Does something about a group in every part of the store, at the same time.
    func onEveryPart(
        of group: StoreKey, _ body: @escaping @Sendable (any CacheStore) async throws -> Void
    ) async throws {
        let parts = PlantedMistake.spareServer.isPlanted ? Array(parts.dropLast()) : parts
        try await CacheError.collecting(parts, key: { _ in group }, body)
    }

    /// Does something about a key in every part that it may be read from, at the same time.
    func onParts(
        of key: StoreKey, _ body: @escaping @Sendable (any CacheStore) async throws -> Void
    ) async throws {
        try await CacheError.collecting(store.parts(of: key).map { parts[$0] }, key: { _ in key }, body)
    }

    /// Removes what stands under a key wherever it may be read.
    func remove(_ key: StoreKey, settlingFor window: Duration = .zero) async throws {
        try await onParts(of: key) { try await self.remove(key, settlingFor: window, in: $0) }
    }

    func remove(_ key: StoreKey, settlingFor window: Duration, in part: any CacheStore) async throws {
        guard window > .zero else {
            _ = try await part.delete(key)
            return
        }
        try await write(window) { end in
            // Two seconds more, since memcached counts whole ones.
            try await put(
                EnvelopeCoding.encode(Envelope.mark(settlingUntil: end), for: key), under: key,
                expiry: window + .seconds(2), in: part)
        }
    }

    /// Writes the end of a window, and again if writing took so long that much of the window was over.
    private func write(_ window: Duration, _ body: (_ end: WallTime) async throws -> Void) async throws {
        for _ in 1...3 {
            let began = clock.elapsed
            try await body(clock.now + window)
            if window == .zero || clock.elapsed - began <= window / 8 { return }
        }
    }

    /// Begins a new generation of a group in a part of the store.
    func invalidate(generation group: StoreKey, _ window: Duration, in part: any CacheStore) async throws {
        func put() async throws {
            try await write(window) { end in
                var generation = Generation(stamp: .random(for: group, isPlanted: false))
                if window > .zero { generation.settlingUntil = end }
                try await self.put(EnvelopeCoding.encode(generation, for: group), under: group, expiry: nil, in: part)
            }
        }
        do { try await put() } catch let error as CacheError where error.code == .unavailable {
            // The connection may have been broken since the server was restarted: a new one tells. With a new stamp,
            // since the first one may have arrived, and arriving again would undo an invalidation that came between.
            try await put()
        }
    }

    /// Writes what makes invalid what stood there. Where there is no room for it, removing that does so too.
    private func put(_ value: [UInt8], under key: StoreKey, expiry: Duration?, in part: any CacheStore) async throws {
        do { try await part.set(key, to: value, expiry: expiry) } catch let error as CacheError where error.isRefusal {
            _ = try await part.delete(key)
        }
    }

    // MARK: Repeating

    /// A group as what is repeated in each part by itself: where it has succeeded, it costs no more values.
    package func targets(ofGroup group: StoreKey) -> [InvalidationTarget] {
        parts.indices.map { .group(group, in: $0) }
    }

    /// Invalidates what a target names, and should that fail, again and again beside whatever else is to be done.
    ///
    /// It returns at once, unless so many are being repeated that there is no room for one more.
    ///
    /// - Parameter whenDone: is told when it has succeeded, or that it was given up because the store was shut down.
    /// - Throws: `CancellationError` when the task is cancelled while it waits for room.
    package func insistOnInvalidating(
        _ target: InvalidationTarget, settlingFor window: Duration,
        whenDone: @escaping PendingInvalidations.WhenDone
    ) async throws {
        while let room = insist(on: target, settlingFor: window, whenDone: whenDone) { try await room.value() }
    }

    /// - Returns: what to wait for before this is called again; `nil` when it has been done.
    @discardableResult
    func insist(
        on target: InvalidationTarget, settlingFor window: Duration = .zero, hasFailed: Bool = false,
        whenDone: PendingInvalidations.WhenDone? = nil
    ) -> Promise<Void>? {
        let (isNew, noRoom) = pending.add(target, settlingFor: window, hasFailed: hasFailed, whenDone: whenDone)
        guard isNew else { return noRoom }
        underWay.begin()
        Task.detached { [self] in
            await attemptUntilDone(target)
            underWay.end()
        }
        return nil
    }

    private func attemptUntilDone(_ target: InvalidationTarget) async {
        let fresh = Backoff(first: .milliseconds(50), longest: .seconds(5))
        var backoff = fresh
        while true {
            let window = pending.begin(target)
            do {
                try await perform(target, settlingFor: window)
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

    func report(
        _ kind: CacheEvent.Kind, _ target: InvalidationTarget, _ error: (any Error)? = nil
    ) {
        report(CacheEvent(kind: kind, key: target.key, function: target.function, error: error))
    }
}
