/// Expiring: what is cached becomes stale, and may be served so while one caller in the fleet refreshes it.
extension ReadThroughCache {
    /// Has what is cached under some keys, and in some groups, be stale from now on: a call that begins after this
    /// returned gets nothing as fresh whose load began before. What is invalidated stays so.
    ///
    /// - Parameter policy: of the keys, for how long they are kept.
    /// - Throws: what the store throws; then it is to be repeated. `CancellationError` as soon as the task is cancelled.
    public func expire(_ keys: [StoreKey], groups: [StoreKey] = [], policy: CachePolicy) async throws {
        try await expire(keys.map { .value($0) } + groups.map { .group($0) }, policy: policy)
    }

    /// Expires what some targets name: see ``expire(_:groups:policy:)``.
    package func expire(_ targets: [InvalidationTarget], policy: CachePolicy) async throws {
        let policy = policy.bounded
        try await send(targets) { target in
            let key = target.key
            defer { self.held.invalidate(key, settlingUntil: self.clock.elapsed) }
            switch target.kind {
            case .value:
                try await self.onParts(of: key) { try await self.expire(key, policy, in: $0) }
            case .group, .groupIn:
                try await self.onEveryPart(of: key) { try await self.expire(group: key, in: $0) }
            }
            self.report(.expiry, target)
        }
    }

    /// How often to try again what another caller was faster with, before all is invalidated instead.
    private static let attempts = 10

    private func expire(_ key: StoreKey, _ policy: CachePolicy, in part: any CacheStore) async throws {
        var window = WallTime.never
        for _ in 0..<Self.attempts {
            guard let item = try await part.getForUpdate(key) else { return }
            // What cannot be read here may be fresh to another release.
            guard let current = EnvelopeCoding.envelope(in: item.value, for: key) else { break }
            window = current.settlingUntil
            if case .later = current { break }
            guard let write = Fill.expiry(of: current, at: clock.now, policy) else { return }
            if try await swap(EnvelopeCoding.encode(write.envelope, for: key), key, item.cas, write.expiry, in: part) {
                return
            }
        }
        try await remove(key, settlingFor: max(.zero, window - clock.now), in: part)
    }

    private func expire(group: StoreKey, in part: any CacheStore) async throws {
        var window = WallTime.never
        for _ in 0..<Self.attempts {
            // Without a stamp no value is valid.
            guard let item = try await part.getForUpdate(group) else { return }
            // A later release may know what stands there.
            guard var generation = EnvelopeCoding.generation(in: item.value, for: group) else { break }
            window = generation.settlingUntil
            // Only this half, over what was read: the other one is never brought back.
            generation.stamp.soft = .random(in: 1 ... .max)
            generation.expiredAt = clock.now
            let bytes = EnvelopeCoding.encode(generation, for: group)
            if PlantedMistake.reviveStamp.isPlanted { return try await part.set(group, value: bytes, expiry: nil) }
            if try await swap(bytes, group, item.cas, nil, in: part) { return }
        }
        try await invalidate(generation: group, max(.zero, window - clock.now), in: part)
    }

    /// Writes over an item, and says whether it stood there still. Where there is no room, what stands there is removed.
    private func swap(
        _ value: [UInt8], _ key: StoreKey, _ cas: StoreItem.CAS, _ expiry: Duration?, in part: any CacheStore
    ) async throws -> Bool {
        do {
            return try await part.compareAndSwap(key, expecting: cas, value: value, expiry: expiry).isStored
        } catch let error as CacheError where error.isRefusal {
            _ = try await part.delete(key)
            return true
        }
    }
}
