import Synchronization

/// Loads that nothing in the store vouches for, because the store is away or has kept a caller waiting too long.
///
/// At most one of them runs for each key in this process. Whoever comes while one is running shares the next one,
/// which begins after all who share it came: so nobody gets a value whose load may have begun before an invalidation
/// that the call began after, and an outage of the store does not bring a herd.
final class UnleasedLoads: Sendable {
    /// What runs one load at a time.
    private struct Lane: Hashable {
        var key: StoreKey
        var type: ObjectIdentifier
    }

    private struct Load<Value: Sendable>: Sendable {
        var run: ReadThroughCache.Loader<Value>
        var outcome = Promise<Value>()
    }

    /// A load is running in the lane.
    private struct Running {
        /// The load that is to run next, if anyone waits for it.
        var next: (any Sendable)?
    }

    private let running = Mutex<[Lane: Running]>([:])

    /// The value of a load that begins after this call did.
    ///
    /// - Throws: the loader's error, or `CancellationError` as soon as the calling task is cancelled.
    func value<Value: Sendable>(of key: StoreKey, _ run: @escaping ReadThroughCache.Loader<Value>) async throws -> Value
    {
        let lane = Lane(key: key, type: ObjectIdentifier(Value.self))
        let load = Load(run: run)
        let (shared, begins) = running.withLock { running -> (Load<Value>, Bool) in
            if let next = running[lane]?.next as? Load<Value> { return (next, false) }
            let begins = running[lane] == nil
            running[lane] = Running(next: begins ? nil : load)
            return (load, begins)
        }
        if begins { Task { @concurrent in await self.fly(load, in: lane) } }
        return try await shared.outcome.value()
    }

    private func fly<Value: Sendable>(_ first: Load<Value>, in lane: Lane) async {
        var current: Load<Value>? = first
        while let load = current {
            do {
                load.outcome.resolve(.success(try await load.run()))
            } catch {
                load.outcome.resolve(.failure(error))
            }
            current = running.withLock { running in
                let next = running[lane]?.next as? Load<Value>
                running[lane] = next == nil ? nil : Running()
                return next
            }
        }
    }
}
