import Synchronization

/// Loads that nothing in the store vouches for, because the store is away or has kept a caller waiting too long.
///
/// One of them runs for each key in this process. Whoever comes while it is running shares the next one, which begins
/// after all who share it came: so nobody gets a value whose load may have begun before an invalidation that the call
/// began after, and an outage of the store does not bring a herd. A load that is stuck holds up the next one no longer
/// than a lease.
final class UnleasedLoads: Sendable {
    /// Where one load runs at a time.
    private struct LaneID: Hashable {
        var key: StoreKey
        var type: ObjectIdentifier
    }

    private struct Lane {
        var running = 0
        /// The load that is to run next, if anyone waits for it.
        var next: (any NextLoad)?
    }

    private protocol NextLoad: Sendable {
        /// Resolved when the load may begin.
        var go: Promise<Void> { get }
    }

    private final class Load<Value: Sendable>: NextLoad {
        let go = Promise<Void>()
        let outcome = Promise<Value>()
    }

    private let deadlines: Deadlines
    private let lanes = Mutex<[LaneID: Lane]>([:])

    init(deadlines: Deadlines) { self.deadlines = deadlines }

    /// The value of a load that begins after this call did.
    ///
    /// - Parameter longestHold: how long a load that is running may hold up this one.
    /// - Throws: the loader's error, or `CancellationError` as soon as the calling task is cancelled.
    func value<Value: Sendable>(
        of key: StoreKey, longestHold: Duration, _ run: @escaping ReadThroughCache.Loader<Value>
    ) async throws -> Value {
        let id = LaneID(key: key, type: ObjectIdentifier(Value.self))
        let new = Load<Value>()
        let (load, mayBegin) = lanes.withLock { lanes -> (Load<Value>, Bool) in
            if let next = lanes[id]?.next as? Load<Value> { return (next, false) }
            lanes[id, default: Lane()].next = new
            return (new, lanes[id]?.running == 0)
        }
        if load === new {
            if mayBegin { new.go.resolve(.success(())) }
            // In a task of the first who waits for it, and so with its task-local values.
            Task { @concurrent in await self.run(new, in: id, longestHold: longestHold, run) }
        }
        return try await load.outcome.value()
    }

    private func run<Value>(
        _ load: Load<Value>, in id: LaneID, longestHold: Duration, _ run: ReadThroughCache.Loader<Value>
    ) async {
        let longestHold = deadlines.schedule(after: longestHold) { load.go.resolve(.success(())) }
        try? await load.go.value()
        deadlines.cancel(longestHold)
        lanes.withLock { lanes in
            lanes[id]?.running += 1
            lanes[id]?.next = nil
        }
        load.outcome.resolve(await Result.of(run))
        let next = lanes.withLock { lanes -> (any NextLoad)? in
            lanes[id]?.running -= 1
            guard let lane = lanes[id], lane.running > 0 || lane.next != nil else {
                lanes[id] = nil
                return nil
            }
            return lane.next
        }
        next?.go.resolve(.success(()))
    }
}

extension Result where Failure == any Error, Success: Sendable {
    /// What a loader returns or throws.
    static func of(_ load: ReadThroughCache.Loader<Success>) async -> Self {
        do { return .success(try await load()) } catch { return .failure(error) }
    }
}
