import Synchronization

/// One run of a loader, for telling that it waits for itself.
///
/// The tasks of a loader know the frame that they are in, and those that it is in. So a call that needs a load which
/// its own load is a part of is told apart from one that needs another's: waiting would never end.
final class LoadFrame: Sendable {
    /// The load that the current task is a part of.
    @TaskLocal static var current: LoadFrame?

    /// What it loads: more than one value for a batch.
    private struct Load {
        var keys: [StoreKey] = []
        /// What stands in the store while it runs; none for one without a lease.
        var tokens: [LoadToken] = []
        /// How many of what was added is not there yet.
        var openCount = 0
        /// Those that it has passed.
        var gates: [LoadGate] = []
    }

    private let cache: ObjectIdentifier
    /// The load that asked for this one, for as long as it runs.
    private let outer: LoadFrame?
    private let load = Mutex(Load())
    private let hasEnded = Atomic(false)

    /// Makes the frame of a load that the current task asks for.
    ///
    /// - Parameter cache: whose keys it loads.
    init(of cache: AnyObject) {
        self.cache = ObjectIdentifier(cache)
        // Those that have ended are let go of, or chains of background refreshes would grow for ever.
        outer = Self.running.first { _ in true }
    }

    /// Makes the frame of a load of values that are there at the same time.
    convenience init(_ keys: [StoreKey], of cache: AnyObject, token: LoadToken? = nil) {
        self.init(of: cache)
        add(keys, token: token)
    }

    /// Says that it loads others, too.
    func add(_ keys: [StoreKey], token: LoadToken?) {
        load.withLock { load in
            load.keys += keys
            if let token { load.tokens.append(token) }
            load.openCount += 1
        }
    }

    /// Says that something that was added is not loaded.
    func remove(_ key: StoreKey, token: LoadToken) {
        load.withLock { load in
            // The last one names it still.
            if load.keys.count > 1 { load.keys.removeAll { $0 == key } }
            load.tokens.removeAll { $0 == token }
        }
    }

    /// Whether the current task is a part of a load that has passed a gate: to wait there for another place might be to
    /// wait for itself.
    static func hasPassed(_ gate: LoadGate) -> Bool {
        current != nil && running.contains { $0.load.withLock { $0.gates.contains { $0 === gate } } }
    }

    /// Notes that the load has passed some gates.
    func pass(_ gates: [LoadGate]) { load.withLock { $0.gates += gates } }

    /// Something that was added is there.
    func end() {
        let isOver = load.withLock { load in
            load.openCount -= 1
            return load.openCount <= 0
        }
        if isOver { hasEnded.store(true, ordering: .relaxed) }
    }

    /// Names it: by a key, if it is one of its own.
    private func name(_ key: StoreKey? = nil) -> StoreKey {
        load.withLock { load in key.flatMap { load.keys.contains($0) ? $0 : nil } ?? load.keys[0] }
    }

    /// The loads that the current task is a part of, the innermost first.
    private static var running: some Sequence<LoadFrame> {
        sequence(first: current) { $0?.outer }.lazy.compactMap(\.self)
            .filter { !$0.hasEnded.load(ordering: .relaxed) }
    }

    // MARK: Circles

    /// Checks that the current task may load a key.
    ///
    /// - Throws: ``CacheError`` with code `reentrantLoad` when it is a part of the load of that very key.
    static func check(_ key: StoreKey, of cache: AnyObject) throws(CacheError) {
        guard current != nil else { return }
        let cache = ObjectIdentifier(cache)
        if let frame = running.first(where: { $0.cache == cache && $0.load.withLock { $0.keys.contains(key) } }) {
            throw circle(through: frame, key)
        }
    }

    /// Checks that the current task may wait for the load that a token in the store names.
    ///
    /// - Throws: ``CacheError`` with code `reentrantLoad` when it is a part of it, though in another cache of this
    ///   process.
    static func check(_ token: LoadToken, of key: StoreKey) throws(CacheError) {
        guard current != nil else { return }
        if let frame = running.first(where: { $0.load.withLock { $0.tokens.contains(token) } }) {
            throw circle(through: frame, key)
        }
    }

    private static func circle(through frame: LoadFrame, _ key: StoreKey) -> CacheError {
        var chain: [StoreKey] = []
        for inner in running {
            chain.insert(inner.name(key), at: 0)
            if inner === frame { break }
        }
        return reentry(chain + [key])
    }

    private static func reentry(_ chain: [StoreKey]) -> CacheError {
        CacheError(
            .reentrantLoad,
            "a loader needs the value that it is loading, through these keys: call the function that is cached and not "
                + "the cached one, or break the circle",
            keys: chain)
    }

    // MARK: Waiting for each other

    /// Which loads wait for which.
    private static let waits = Mutex<[ObjectIdentifier: [LoadFrame]]>([:])

    /// Waits for this load, from within the current one if there is one.
    ///
    /// - Throws: ``CacheError`` with code `reentrantLoad` when this load waits for the current one, directly or through
    ///   others; what `wait` throws.
    func whileAwaited<Result>(_ wait: () async throws -> Result) async throws -> Result {
        guard Self.current != nil, let waiter = Self.running.first(where: { _ in true }) else {
            return try await wait()
        }
        let chain = Self.waits.withLock { waits -> [StoreKey]? in
            if let chain = Self.path(from: self, to: waiter, in: waits) { return chain }
            waits[ObjectIdentifier(waiter), default: []].append(self)
            return nil
        }
        if let chain { throw Self.reentry([waiter.name()] + chain) }
        defer {
            Self.waits.withLock { waits in
                let id = ObjectIdentifier(waiter)
                if let index = waits[id]?.firstIndex(where: { $0 === self }) { waits[id]?.remove(at: index) }
                if waits[id]?.isEmpty == true { waits[id] = nil }
            }
        }
        return try await wait()
    }

    private static func path(
        from start: LoadFrame, to end: LoadFrame, in waits: [ObjectIdentifier: [LoadFrame]]
    ) -> [StoreKey]? {
        var seen: Set<ObjectIdentifier> = []
        func search(_ frame: LoadFrame) -> [StoreKey]? {
            if frame === end { return [frame.name()] }
            guard seen.insert(ObjectIdentifier(frame)).inserted else { return nil }
            for next in waits[ObjectIdentifier(frame)] ?? [] {
                if let path = search(next) { return [frame.name()] + path }
            }
            return nil
        }
        return search(start)
    }
}
