import MintCache

extension Cache {
    /// Removes the value that `value(forKey:)` cached under a key, whichever process did.
    ///
    /// A call that begins after this returned gets no value whose load began before.
    ///
    /// - Throws: the store's error: then the value may still be cached, and the call is to be repeated. ``CacheError``
    ///   with code `invalidKey` for an empty key.
    public func invalidate(key: String) async throws {
        try await engine.invalidate(keys.key(named: key))
    }

    /// Invalidates every value in a group, however many there are, with one write.
    ///
    /// - Throws: as ``invalidate(key:)``.
    public func invalidate(group: String) async throws {
        try await engine.invalidate(group: keys.key(ofGroup: group))
    }

    /// Invalidates what each event of a sequence makes outdated, until the sequence ends: the way to wire a cache to
    /// the change events of a database.
    ///
    /// ```swift
    /// try await cache.invalidate(on: database.changes) { change in
    ///     [try .call(city, change.slug), .group("cities")]
    /// }
    /// ```
    ///
    /// No event is lost to store trouble: its invalidations are repeated, after growing pauses of up to five seconds,
    /// until they succeed.
    ///
    /// - Throws: what the sequence or `outdated` throws; `CancellationError` when the task is cancelled;
    ///   ``CacheError`` with code `invalidKey`.
    public func invalidate<Events: AsyncSequence>(
        on events: Events, _ outdated: (Events.Element) throws -> [Invalidation]
    ) async throws {
        for try await event in events {
            for invalidation in try outdated(event) {
                try await insist { try await invalidation.perform(in: self) }
            }
        }
    }

    private func insist(_ operation: () async throws -> Void) async throws {
        var pause = Duration.milliseconds(50)
        while true {
            do {
                return try await operation()
            } catch let error as CancellationError {
                throw error
            } catch let error as CacheError where error.code == .invalidKey || error.code == .shutDown {
                throw error
            } catch {
                try await engine.pause(pause)
                pause = min(pause * 2, .seconds(5))
            }
        }
    }
}
