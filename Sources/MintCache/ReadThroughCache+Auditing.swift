import Synchronization

/// How many comparisons are under way, and when the last one began.
final class AuditTurns: Sendable {
    private let state = Mutex<(running: Int, last: Duration?)>((0, nil))

    /// Whether one may begin, which then has begun.
    func begin(_ audit: CacheAudit, at now: Duration) -> Bool {
        state.withLock { state in
            guard state.running < audit.atATime else { return false }
            if let last = state.last, now - last < audit.pause { return false }
            state = (state.running + 1, now)
            return true
        }
    }

    func end() { state.withLock { $0.running -= 1 } }
}

/// Compares values that are served with what their loader says: see ``CacheAudit``.
extension ReadThroughCache {
    /// A value was served. Not inlined: nearly all calls end before this.
    @inline(never)
    func audit<Value: Sendable>(
        _ served: Value, isStale: Bool = false, _ entry: CacheEntry, _ coder: any PayloadCoder<Value>,
        _ load: @escaping Loader<Value>
    ) {
        guard let audit = entry.policy.audit, .random(in: 0..<max(1, audit.every)) == 0,
            audits.begin(audit, at: clock.elapsed)
        else { return }
        underWay.begin()
        let start = LoadStarter.inBackground(background)
        _ = start { [self] in
            if await isMismatch(served, audit, entry, coder, load) {
                report(.mismatch, entry, reason: isStale ? .expired : nil)
            }
            audits.end()
            underWay.end()
        }
    }

    /// Whether the loader says something else than is served, now and a moment later.
    private func isMismatch<Value: Sendable>(
        _ served: Value, _ audit: CacheAudit, _ entry: CacheEntry, _ coder: any PayloadCoder<Value>,
        _ load: @escaping Loader<Value>
    ) async -> Bool {
        guard let loaded = try? await loadBeside(entry, load), !coder.areSame(served, loaded),
            (try? await clock.sleep(for: audit.patience)) != nil,
            let stillServed = try? await peek(entry, coder), coder.areSame(served, stillServed),
            let again = try? await loadBeside(entry, load)
        else { return false }
        // A loader that says something else each time says nothing about the cache.
        return coder.areSame(loaded, again)
    }

    /// What the loader says, if there is room for one more load.
    private func loadBeside<Value: Sendable>(
        _ entry: CacheEntry, _ load: @escaping Loader<Value>
    ) async throws -> Value? {
        guard let place = LoadPlace.now(in: gates(of: entry, isPartOfLoad: false)) else { return nil }
        // What the loader asks for knows the gates that it has passed.
        let frame = LoadFrame(of: self)
        defer { frame.end() }
        return try await LoadFrame.$current.withValue(frame) { try await run(load, for: entry, place).value.value }
    }
}
