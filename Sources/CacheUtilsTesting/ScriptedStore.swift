public import MintCache
import Synchronization

/// A store that does as another does, counts, and stops or fails where a test says.
///
/// ```swift
/// let store = ScriptedStore(InMemoryStore())
/// let cache = Cache(store: store, namespace: "test")
/// store.next(.get, .failBefore)       // what follows does without the cache
/// store.setDown(true)                 // the store is away
/// ```
public final class ScriptedStore: CacheStore {
    /// A kind of operation.
    public struct Operation: Sendable, Hashable, CaseIterable, CustomStringConvertible {
        /// The name of the kind.
        public let description: String

        /// A read, of one item or several.
        public static let get = Operation(description: "get")
        /// A write whatever stands there.
        public static let set = Operation(description: "set")
        /// A write where nothing stands.
        public static let add = Operation(description: "add")
        /// A write over an item.
        public static let compareAndSwap = Operation(description: "compareAndSwap")
        /// A removal.
        public static let delete = Operation(description: "delete")

        /// All of them.
        public static let allCases = [get, set, add, compareAndSwap, delete]
    }

    /// What is to happen to one operation.
    public struct Step: Sendable {
        fileprivate enum Kind {
            case pauseBefore(Gate), pauseAfter(Gate), failBefore, failAfter, loseAnswer, refuse, timeOut
            case pauseAndTimeOut(Gate), pauseAndShutDown(Gate), failAndHappen(Gate, Gate)
        }

        fileprivate let kind: Kind

        /// Stop before it takes effect.
        public static func pauseBefore(_ gate: Gate) -> Step { Step(kind: .pauseBefore(gate)) }
        /// Stop after it took effect.
        public static func pauseAfter(_ gate: Gate) -> Step { Step(kind: .pauseAfter(gate)) }
        /// Fail without effect.
        public static let failBefore = Step(kind: .failBefore)
        /// Take effect, then fail.
        public static let failAfter = Step(kind: .failAfter)
        /// Take effect, and fail as a connection does that breaks before the answer.
        public static let loseAnswer = Step(kind: .loseAnswer)
        /// Be refused without effect, as by a full server.
        public static let refuse = Step(kind: .refuse)
        /// Time out without effect.
        public static let timeOut = Step(kind: .timeOut)
        /// Stop before it takes effect, then time out without.
        public static func pauseAndTimeOut(_ gate: Gate) -> Step { Step(kind: .pauseAndTimeOut(gate)) }
        /// Stop before it takes effect, then fail without, as in a store that is shut down meanwhile.
        public static func pauseAndShutDown(_ gate: Gate) -> Step { Step(kind: .pauseAndShutDown(gate)) }
        /// Fail at once and take effect later, as a write does that is still on its way when it times out.
        public static func failAndHappen(at gate: Gate, done: Gate) -> Step { Step(kind: .failAndHappen(gate, done)) }
    }

    /// The failure of a scripted step.
    public struct Failure: Error, Sendable {}

    /// What this store and its parts have in common.
    private final class Script: Sendable {
        let state = Mutex(State())
    }

    private struct State {
        var script: [Operation: [Step]] = [:]
        var counts: [Operation: Int] = [:]
        var isDown = false
    }

    private let base: any CacheStore
    private let tellsIDs: Bool
    private let script: Script

    /// Makes a store on another one.
    ///
    /// - Parameter tellsIDs: whether CAS ids are told of writes. Without, each fill reads before it writes, so that
    ///   there are more places for a test to stop at.
    public init(_ base: any CacheStore, tellsIDs: Bool = false) {
        self.base = base
        self.tellsIDs = tellsIDs
        script = Script()
    }

    private init(_ part: StorePart, of store: ScriptedStore) {
        (base, tellsIDs, script) = (part.store, store.tellsIDs, store.script)
    }

    private func scripted(_ part: StorePart) -> StorePart {
        StorePart(id: part.id, store: ScriptedStore(part, of: self))
    }

    /// Says what is to happen to the next operation of a kind that has nothing scripted yet.
    public func next(_ operation: Operation, _ step: Step) {
        script.state.withLock { $0.script[operation, default: []].append(step) }
    }

    /// Whether every operation fails.
    public func setDown(_ isDown: Bool) { script.state.withLock { $0.isDown = isDown } }

    /// How many operations of a kind there were.
    public func count(_ operation: Operation) -> Int { script.state.withLock { $0.counts[operation, default: 0] } }

    /// How many operations there were, each a round trip.
    public var roundTrips: Int { script.state.withLock { $0.counts.values.reduce(0, +) } }

    /// Counts from zero again.
    public func resetCounts() { script.state.withLock { $0.counts = [:] } }

    // MARK: Parts

    /// Those of the store below. What is asked of one of them is counted and scripted, too.
    public var parts: [StorePart] { base.parts.map(scripted) }

    /// As the store below.
    public func part(of key: StoreKey) -> StorePart { scripted(base.part(of: key)) }

    /// As the store below.
    public func parts(of key: StoreKey) -> [StorePart] { base.parts(of: key).map(scripted) }

    /// That of the store below.
    public var listNumber: UInt32 { base.listNumber }

    /// As the store below.
    public func accepts(listNumber: UInt32, for key: StoreKey) -> Bool {
        base.accepts(listNumber: listNumber, for: key)
    }

    private func perform<Result: Sendable>(
        _ operation: Operation,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let (step, isDown) = script.state.withLock { state -> (Step?, Bool) in
            state.counts[operation, default: 0] += 1
            guard state.script[operation]?.isEmpty == false else { return (nil, state.isDown) }
            return (state.script[operation]?.removeFirst(), state.isDown)
        }
        if isDown { throw Failure() }
        switch step?.kind {
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

    /// Reads one item.
    public func get(_ key: StoreKey) async throws -> StoreItem? {
        try await perform(.get) { [base] in try await base.get(key) }
    }

    /// Reads one item in order to write over it.
    public func getForUpdate(_ key: StoreKey) async throws -> StoreItem? {
        try await perform(.get) { [base] in try await base.getForUpdate(key) }
    }

    /// Reads one item.
    /// Reads several items.
    public func get(_ keys: [StoreKey]) async throws -> [StoreItem?] {
        try await perform(.get) { [base] in try await base.get(keys) }
    }

    /// Stores a value.
    public func set(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws {
        try await perform(.set) { [base] in try await base.set(key, value: value, expiry: expiry) }
    }

    /// Stores a value where nothing stands.
    public func add(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws -> StoreWrite {
        try await perform(.add) { [base] in try await base.add(key, value: value, expiry: expiry) }
    }

    /// Stores a value over an item.
    public func compareAndSwap(
        _ key: StoreKey,
        expecting cas: StoreItem.CAS,
        value: [UInt8],
        expiry: Duration?
    ) async throws -> StoreWrite {
        try await perform(.compareAndSwap) { [base] in
            try await base.compareAndSwap(key, expecting: cas, value: value, expiry: expiry)
        }
    }

    /// Stores a value that nobody else writes.
    public func writeUnique(
        _ key: StoreKey, value: [UInt8], over cas: StoreItem.CAS?, expiry: Duration?
    ) async throws -> StoreWrite {
        let write = try await perform(cas == nil ? .add : .compareAndSwap) { [base] in
            try await base.writeUnique(key, value: value, over: cas, expiry: expiry)
        }
        return write.isStored && !tellsIDs ? .stored() : write
    }

    /// Removes what stands there.
    public func delete(_ key: StoreKey) async throws -> Bool {
        try await perform(.delete) { [base] in try await base.delete(key) }
    }
}
