import Synchronization

/// Loads of which one runs for each key in this process: refreshes, and those that nothing in the store vouches for,
/// because it is away or has kept a caller waiting too long.
///
/// Whoever comes while one is running shares the next one, which begins after all who share it came: so nobody gets a
/// value whose load may have begun before an invalidation that the call began after, and neither an outage of the store
/// nor a loop of refreshes brings a herd. A load that has run for as long as its bound holds up nobody any more.
final class SerialLoads: Sendable {
    /// Runs a load. It calls `close` when the loader is about to begin: those who come later share the next load.
    typealias Run<Value> = @Sendable (_ load: SharedLoad<Value>, _ close: @Sendable () -> Void) async throws -> Value

    /// Where one load runs at a time.
    private struct LineID: Hashable {
        var key: StoreKey
        var type: ObjectIdentifier
    }

    private struct Line {
        /// Whether a load is running, and not for longer than its bound.
        var running: ObjectIdentifier?
        /// The load that is shared by those who come now, if there is one.
        var open: (any AnyLoad)?
    }

    private protocol AnyLoad: AnyObject, Sendable {
        /// Resolved when the load may begin.
        var start: Promise<Void> { get }
    }

    private final class Load<Value: Sendable>: AnyLoad {
        let start = Promise<Void>()
        let result: SharedLoad<Value>

        init(_ result: SharedLoad<Value>) { self.result = result }
    }

    /// How many loads a caller shares in vain before it loads by itself, whatever is running.
    private static let sharesInVain = 2

    private let deadlines: Deadlines
    private let lines = Mutex<[LineID: Line]>([:])

    init(deadlines: Deadlines) { self.deadlines = deadlines }

    /// The value of a load that begins after this call did.
    ///
    /// - Parameters:
    ///   - bound: how long a load may hold up the next one, and keep those who share it.
    ///   - start: starts a task of the caller's kind.
    /// - Throws: the loader's error, `CancellationError` as soon as the calling task is cancelled, or ``CacheError``
    ///   with code `reentrantLoad`.
    func value<Value: Sendable>(
        of key: StoreKey, in cache: AnyObject, bound: Duration, start: LoadStarter, _ run: @escaping Run<Value>
    ) async throws -> Value {
        let id = LineID(key: key, type: ObjectIdentifier(Value.self))
        for _ in 0..<Self.sharesInVain {
            let new = Load<Value>(SharedLoad(LoadFrame(key, of: cache), deadlines: deadlines))
            let load = enter(new, id)
            if load === new {
                new.result.runs(in: start { await self.run(new, in: id, bound: bound, run) })
                return try await new.result.ownOutcome()
            }
            if let value = try await load.result.sharedOutcome() { return value }
        }
        let load = SharedLoad<Value>(LoadFrame(key, of: cache), deadlines: deadlines)
        load.runs(in: start { load.end(await load.outcome { try await run(load) {} }) })
        return try await load.ownOutcome()
    }

    /// Enters a load, or finds the one to share.
    private func enter<Value>(_ new: Load<Value>, _ id: LineID) -> Load<Value> {
        let (load, mayBegin) = lines.withLock { lines -> (Load<Value>, Bool) in
            var line = lines[id] ?? Line()
            if let open = line.open as? Load<Value> { return (open, false) }
            let mayBegin = line.running == nil
            line.open = new
            if mayBegin { line.running = ObjectIdentifier(new) }
            lines[id] = line
            return (new, mayBegin)
        }
        if mayBegin { new.start.resolve(.success(())) }
        return load
    }

    private func run<Value>(_ load: Load<Value>, in id: LineID, bound: Duration, _ run: @escaping Run<Value>) async {
        try? await load.start.value()
        let result = load.result
        result.letGo(after: bound) { self.holdsUpNobody(load, in: id) }
        let outcome = await result.outcome {
            try await run(result) {
                self.close(load, in: id)
                result.letGo(after: bound) { self.holdsUpNobody(load, in: id) }
            }
        }
        holdsUpNobody(load, in: id)
        result.end(outcome)
    }

    /// Lets nobody share the load any more who has not begun to.
    private func close(_ load: any AnyLoad, in id: LineID) {
        lines.withLock { lines in
            if lines[id]?.open === load { lines[id]?.open = nil }
        }
    }

    /// Lets the next load begin.
    private func holdsUpNobody(_ load: any AnyLoad, in id: LineID) {
        close(load, in: id)
        let next = lines.withLock { lines -> (any AnyLoad)? in
            guard lines[id]?.running == ObjectIdentifier(load) else { return nil }
            guard let next = lines[id]?.open else {
                lines[id] = nil
                return nil
            }
            lines[id]?.running = ObjectIdentifier(next)
            return next
        }
        next?.start.resolve(.success(()))
    }
}

extension SharedLoad {
    /// What a loader that runs in the frame of this load returns or throws.
    func outcome(_ load: @Sendable () async throws -> Outcome) async -> Result<Outcome, any Error> {
        await LoadFrame.$current.withValue(frame) { await Result.of(load) }
    }
}

extension Result where Failure == any Error, Success: Sendable {
    /// What a loader returns or throws.
    static func of(_ load: @Sendable () async throws -> Success) async -> Self {
        do { return .success(try await load()) } catch { return .failure(error) }
    }
}
