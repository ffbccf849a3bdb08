/// Invalidations. They are sent whatever becomes of the task that asks for them.
extension ReadThroughCache {
    /// Removes what is cached under some keys, and begins a new generation of some groups, all at the same time: at the
    /// cost of one write for each key, and one for each group and part of the store. A call that begins after this
    /// returned gets no value whose load began before.
    ///
    /// - Parameter window: for how long values of loads that begin are settling: fresh until its end at most, and not
    ///   served stale after.
    /// - Throws: what the store throws; then the promise is not kept for the keys that the error names. This process takes
    ///   what they name for invalid from then on, and repeats their invalidations until they succeed. `CancellationError`
    ///   as soon as the task is cancelled; the invalidations are sent all the same.
    public func invalidate(
        _ keys: [StoreKey], groups: [StoreKey] = [], settlingFor window: Duration = .zero
    ) async throws {
        try await invalidate(keys.map { .value($0) } + groups.map { .group($0) }, settlingFor: window)
    }

    /// Invalidates what some targets name: see ``invalidate(_:groups:settlingFor:)``.
    package func invalidate(_ targets: [InvalidationTarget], settlingFor window: Duration = .zero) async throws {
        try await send(targets) { target in
            let places = self.places(of: target)
            try await CacheError.collecting(places, key: \.key) { try await self.invalidateOrKeep($0, window) }
            self.report(.invalidation, target)
        }
    }

    /// What is repeated by itself when it fails: a group in each part of the store, so that where it has succeeded it costs
    /// no more values.
    private func places(of target: InvalidationTarget) -> [InvalidationTarget] {
        guard target.kind == .group else { return [target] }
        return partsToReach.map { .group(target.key, in: $0.id) }
    }

    /// Invalidates, and if that fails takes what the target names for invalid from now on, and repeats it.
    private func invalidateOrKeep(_ target: InvalidationTarget, _ window: Duration) async throws {
        let mark = pending.mark()
        do {
            try await perform(target, settlingFor: window)
            pending.succeeded(target, since: mark)
        } catch {
            keep(target, settlingFor: window, failedWith: error)
            throw error
        }
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

    func perform(_ target: InvalidationTarget, settlingFor window: Duration) async throws {
        let key = target.key
        // Also where it fails, or has nothing to do any more.
        defer {
            held.invalidate(key, settlingUntil: clock.elapsed + window)
            onInvalidation(Invalidated(key: key, isGroup: target.kind != .value))
        }
        switch target.kind {
        case .value:
            failures.forget(key)
            try await remove(key, settlingFor: window)
        case .groupIn(let id):
            // One that is in no list any more has nothing to be invalidated: its values are no hits, should it come back.
            guard let part = store.parts.first(where: { $0.id == id }) else { return }
            try await reach([part], key) { try await self.invalidate(generation: key, window, in: $0) }
        case .group:
            preconditionFailure("a group is invalidated in each part by itself")
        }
    }

    /// The parts that an invalidation of a group writes to: all.
    private var partsToReach: [StorePart] {
        PlantedMistake.spareServer.isPlanted ? store.parts.dropLast() : store.parts
    }

    /// Does something about a group in every part of the store, at the same time.
    func onEveryPart(
        of group: StoreKey, _ body: @escaping @Sendable (any CacheStore) async throws -> Void
    ) async throws {
        try await reach(partsToReach, group, body)
    }

    /// Does something about a key in every part that it may be read from, at the same time.
    func onParts(
        of key: StoreKey, _ body: @escaping @Sendable (any CacheStore) async throws -> Void
    ) async throws {
        let parts = PlantedMistake.spareOtherList.isPlanted ? [store.part(of: key)] : store.parts(of: key)
        try await reach(parts, key, body)
    }

    /// Does something in parts of the store, at the same time. One that leaves the lists meanwhile needs it no more.
    private func reach(
        _ parts: [StorePart], _ key: StoreKey, _ body: @escaping @Sendable (any CacheStore) async throws -> Void
    ) async throws {
        try await CacheError.collecting(parts, key: { _ in key }) { part in
            do { try await body(part.store) } catch let error as CacheError where error.code == .shutDown {
                if self.store.parts.contains(where: { $0.id == part.id }) { throw error }
            }
        }
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
        do { try await part.set(key, value: value, expiry: expiry) } catch let error as CacheError where error.isRefusal
        {
            _ = try await part.delete(key)
        }
    }

    func report(
        _ kind: CacheEvent.Kind, _ target: InvalidationTarget, _ error: (any Error)? = nil
    ) {
        report(CacheEvent(kind: kind, key: target.key, function: target.function, error: error))
    }
}
