import MintCache
import Synchronization

extension Cache {
    /// Removes the value that `value(forKey:)` cached under a key, whichever process did.
    ///
    /// A call that begins after this returned gets no value whose load began before.
    ///
    /// - Throws: the store's error, with code `unavailable`, `timeout`, `storeFailure` or `shutDown` for memcached:
    ///   then the value may still be cached. This process takes it for invalid from then on, and repeats the invalidation
    ///   until it succeeds (``pendingInvalidations``): other processes may be served it until then. `CancellationError`
    ///   as soon as the task is cancelled; the invalidation is sent all the same. ``CacheError`` with code `invalidKey`
    ///   for an empty key.
    public func invalidate(key: String, settlingFor window: Duration = .zero) async throws {
        try await invalidate(keys: [key], settlingFor: window)
    }

    /// Invalidates every value in a group, however many there are, with one write to each server.
    ///
    /// - Throws: as ``invalidate(key:settlingFor:)``.
    public func invalidate(group: String, settlingFor window: Duration = .zero) async throws {
        try await invalidate(groups: [group], settlingFor: window)
    }

    /// Invalidates values by key and groups, all at the same time.
    ///
    /// - Parameter window: for how long replicas that are read may lag: see
    ///   ``CachedFunction/invalidate(_:settlingFor:)``.
    /// - Throws: when all have ended, as ``invalidate(key:settlingFor:)``, with the store keys of what failed in
    ///   ``CacheError/keys``.
    public func invalidate(
        keys names: [String] = [], groups: [String] = [], settlingFor window: Duration = .zero
    ) async throws {
        // A group of the first edition is invalid without its stamp.
        try await engine.invalidate(
            names.flatMap { try keys.keys(named: $0) } + groups.flatMap { try keys.firstEditionKeys(ofGroup: $0) },
            groups: groups.map { try keys.key(ofGroup: $0) }, settlingFor: checked(window))
    }

    /// Invalidations that have failed and are being repeated, after growing pauses of up to five seconds, the one that
    /// has waited longest first. Up to 10,000 are kept; for how long says `repeatsInvalidationsFor` of the cache.
    public var pendingInvalidations: [PendingInvalidation] { engine.pendingInvalidations }

    /// Has the value that is cached under a key be stale from now on: see ``CachedFunction/expire(_:)``. It is kept for
    /// the `staleFor` of the cache's policy.
    ///
    /// - Throws: the errors of ``invalidate(key:settlingFor:)``; then it is to be repeated, which nobody does by himself.
    public func expire(key: String) async throws { try await expire(keys: [key]) }

    /// Has every value in a group be stale from now on, with one write to each server: it may be served for as long as
    /// `staleFor` says, while one caller in the fleet refreshes it. What was invalidated stays so.
    ///
    /// - Throws: the errors of ``invalidate(key:settlingFor:)``; then it is to be repeated, which nobody does by himself.
    public func expire(group: String) async throws { try await expire(groups: [group]) }

    /// Expires values by key and groups, all at the same time.
    ///
    /// - Throws: the errors of ``invalidate(keys:groups:settlingFor:)``; then it is to be repeated.
    public func expire(keys names: [String] = [], groups: [String] = []) async throws {
        try await engine.expire(
            names.flatMap { try keys.keys(named: $0) }, groups: groups.map { try keys.key(ofGroup: $0) },
            policy: policy)
    }

    /// Invalidates everything in the namespace, whatever its version, with one write to each server. Values of caches
    /// that were not made with `canInvalidateAll` are spared.
    ///
    /// - Throws: as ``invalidate(key:settlingFor:)``; ``CacheError`` with code `invalidConfiguration` when this cache was not made
    ///   with `canInvalidateAll`.
    public func invalidateAll() async throws {
        guard let all = try keys.groupOfAll() else {
            throw CacheError(
                .invalidConfiguration,
                "this cache cannot invalidate all at once, since each hit would read one more key: make it with "
                    + "canInvalidateAll: true")
        }
        try await engine.invalidate([], groups: [all])
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
    /// No event is lost to store trouble, and none holds up another: an invalidation that fails is repeated beside the
    /// others, after growing pauses of up to five seconds, until it succeeds. Meanwhile this process takes what it
    /// names for invalid. Of the same value or group one is sent at a time. Up to 10,000 are kept; with more of them
    /// the next event is not asked for. When the sequence ends, this returns as soon as all have succeeded.
    ///
    /// - Throws: what the sequence or `outdated` throws; `CancellationError` when the task is cancelled;
    ///   ``CacheError`` with code `invalidKey`, or `shutDown` when the store was shut down before all had succeeded, or why
    ///   one was given up. What has not succeeded by then goes on being repeated.
    public func invalidate<Events: AsyncSequence>(
        on events: Events, settlingFor window: Duration = .zero, _ outdated: (Events.Element) throws -> [Invalidation]
    ) async throws {
        let window = try checked(window)
        let repeats = Repeats()
        for try await event in events {
            for invalidation in try outdated(event) {
                let (targets, engine) = try invalidation.targets(in: self)
                for target in targets {
                    repeats.begin()
                    do {
                        try await engine.insistOnInvalidating(target, settlingFor: window) { repeats.end($0) }
                    } catch {
                        repeats.end(nil)
                        throw error
                    }
                }
            }
        }
        try await repeats.all()
    }
}

/// The invalidations of one sequence of events that have not succeeded yet.
private final class Repeats: Sendable {
    private struct State {
        // One for the sequence itself.
        var count = 1
        var error: CacheError?
    }

    private let state = Mutex(State())
    private let ended = Promise<Void>()

    func begin() { state.withLock { $0.count += 1 } }

    func end(_ error: CacheError?) {
        let result = state.withLock { state -> Result<Void, any Error>? in
            state.count -= 1
            if let error { state.error = error }
            guard state.count == 0 else { return nil }
            return state.error.map { .failure($0) } ?? .success(())
        }
        if let result { ended.resolve(result) }
    }

    /// Returns when all have ended.
    func all() async throws {
        end(nil)
        try await ended.value()
    }
}
