package import MintCache
import Synchronization

/// A store that does as another does, counts, and stops or fails where a test says.
package final class ScriptedStore: CacheStore {
    package enum Operation: Sendable, Hashable, CaseIterable {
        case get, set, add, compareAndSwap, delete
    }

    /// What is to happen to one operation.
    package enum Step: Sendable {
        /// Stop before it takes effect.
        case pauseBefore(Gate)
        /// Stop after it took effect.
        case pauseAfter(Gate)
        /// Fail without effect.
        case failBefore
        /// Take effect, then fail.
        case failAfter
        /// Take effect, and fail as a connection does that breaks before the answer.
        case loseAnswer
        /// Be refused without effect, as by a full server.
        case refuse
        /// Time out without effect.
        case timeOut
        /// Stop before it takes effect, then time out without.
        case pauseAndTimeOut(Gate)
        /// Stop before it takes effect, then fail without, as in a store that is shut down meanwhile.
        case pauseAndShutDown(Gate)
        /// Fail at once and take effect later, as a write does that is still on its way when it times out.
        case failAndHappen(at: Gate, done: Gate)
    }

    /// The failure of a scripted step.
    package struct Failure: Error {}

    private struct State {
        var script: [Operation: [Step]] = [:]
        var counts: [Operation: Int] = [:]
        var isDown = false
    }

    private let base: any CacheStore
    private let tellsIDs: Bool
    private let state = Mutex(State())

    /// - Parameter tellsIDs: whether CAS ids are told of writes. Without, each fill reads before it writes, so that
    ///   there are more places for a test to stop at.
    package init(_ base: any CacheStore, tellsIDs: Bool = false) {
        self.base = base
        self.tellsIDs = tellsIDs
    }

    /// Says what is to happen to the next operation of a kind that has nothing scripted yet.
    package func next(_ operation: Operation, _ step: Step) {
        state.withLock { $0.script[operation, default: []].append(step) }
    }

    /// Whether every operation fails.
    package func setDown(_ isDown: Bool) { state.withLock { $0.isDown = isDown } }

    /// How many operations of a kind there were.
    package func count(_ operation: Operation) -> Int { state.withLock { $0.counts[operation, default: 0] } }

    /// How many operations there were, each a round trip.
    package var roundTrips: Int { state.withLock { $0.counts.values.reduce(0, +) } }

    package func resetCounts() { state.withLock { $0.counts = [:] } }

    private func perform<Result: Sendable>(
        _ operation: Operation,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let (step, isDown) = state.withLock { state -> (Step?, Bool) in
            state.counts[operation, default: 0] += 1
            guard state.script[operation]?.isEmpty == false else { return (nil, state.isDown) }
            return (state.script[operation]?.removeFirst(), state.isDown)
        }
        if isDown { throw Failure() }
        switch step {
        case .pauseBefore(let gate):
            try await gate.pass()
            return try await body()
        case .pauseAfter(let gate):
            let result = try await body()
            try await gate.pass()
            return result
        case .failBefore:
            throw Failure()
        case .failAfter:
            _ = try await body()
            throw Failure()
        case .loseAnswer:
            _ = try await body()
            throw CacheError(.unavailable, "the connection broke")
        case .refuse:
            throw CacheError(.storeFailure, "out of memory")
        case .timeOut:
            throw CacheError(.timeout, "no answer")
        case .pauseAndTimeOut(let gate):
            try await gate.pass()
            throw CacheError(.timeout, "no answer")
        case .pauseAndShutDown(let gate):
            try await gate.pass()
            throw CacheError(.shutDown, "this store was shut down")
        case .failAndHappen(let gate, let done):
            Task {
                try await gate.pass()
                _ = try await body()
                done.open()
            }
            throw Failure()
        case nil:
            return try await body()
        }
    }

    package func get(_ key: StoreKey) async throws -> StoreItem? {
        try await perform(.get) { [base] in try await base.get(key) }
    }

    package func getForUpdate(_ key: StoreKey) async throws -> StoreItem? {
        try await perform(.get) { [base] in try await base.getForUpdate(key) }
    }

    package func get(_ keys: [StoreKey]) async throws -> [StoreItem?] {
        try await perform(.get) { [base] in try await base.get(keys) }
    }

    package func set(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws {
        try await perform(.set) { [base] in try await base.set(key, value: value, expiry: expiry) }
    }

    package func add(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws -> StoreWrite {
        try await perform(.add) { [base] in try await base.add(key, value: value, expiry: expiry) }
    }

    package func compareAndSwap(
        _ key: StoreKey,
        expecting cas: StoreItem.CAS,
        value: [UInt8],
        expiry: Duration?
    ) async throws -> StoreWrite {
        try await perform(.compareAndSwap) { [base] in
            try await base.compareAndSwap(key, expecting: cas, value: value, expiry: expiry)
        }
    }

    package func writeUnique(
        _ key: StoreKey, value: [UInt8], over cas: StoreItem.CAS?, expiry: Duration?
    ) async throws -> StoreWrite {
        let write = try await perform(cas == nil ? .add : .compareAndSwap) { [base] in
            try await base.writeUnique(key, value: value, over: cas, expiry: expiry)
        }
        return write.isStored && !tellsIDs ? .stored() : write
    }

    package func delete(_ key: StoreKey) async throws -> Bool {
        try await perform(.delete) { [base] in try await base.delete(key) }
    }
}
