import Synchronization

/// Loads of which one runs for each key, or each list of keys, in this process: refreshes, and those that nothing in the store vouches for,
/// because it is away or has kept a caller waiting too long.
///
/// Whoever comes while one is running shares the next one, which begins after all who share it came: so nobody gets a
/// value whose load may have begun before an invalidation that the call began after, and neither an outage of the store
/// nor a loop of refreshes brings a herd. A load that has run for as long as its bound holds up nobody any more.
final class SerialLoads: Sendable {
    /// Where one load runs at a time.
    private struct LineID: Hashable {
        var keys: [StoreKey]
        var type: ObjectIdentifier
    }

    private struct Line {
        /// The load that is running, if it has not done so for longer than its bound.
        var running: any AnyLoad
        /// The load that begins next, which is shared by those who come now.
        var next: (any AnyLoad)?
    }

    private protocol AnyLoad: AnyObject, Sendable {
        /// Resolved when the load may begin.
        var start: Promise<Void> { get }
        var frame: LoadFrame { get }
    }

    private final class Load<Value: Sendable>: AnyLoad {
        let start = Promise<Void>()
        let result: SharedLoad<Value>

        var frame: LoadFrame { result.frame }

        init(_ result: SharedLoad<Value>) { self.result = result }
    }

    /// How many loads a caller shares in vain before it loads by itself, whatever is running.
    private static let sharesInVain = 2

    private let deadlines: Deadlines
    private let underWay: UnderWay
    private let lines = Mutex<[LineID: Line]>([:])

    init(deadlines: Deadlines, underWay: UnderWay) {
        self.deadlines = deadlines
        self.underWay = underWay
    }

    /// The value of a load that begins after this call did.
    ///
    /// - Parameters:
    ///   - bound: how long a load may hold up the next one, and keep those who share it.
    ///   - start: starts a task of the caller's kind.
    ///   - isAlone: whether it neither waits for another load nor is waited for: it is a part of a load that has passed a
    ///     gate, which the other one may wait at.
    /// - Throws: the loader's error, `CancellationError` as soon as the calling task is cancelled, or ``CacheError``
    ///   with code `reentrantLoad`.
    func value<Value: Sendable>(
        of keys: [StoreKey], in cache: AnyObject, bound: Duration, start: LoadStarter, isAlone: Bool = false,
        _ run: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let id = LineID(keys: keys, type: ObjectIdentifier(Value.self))
        for _ in 0..<(isAlone ? 0 : Self.sharesInVain) {
            let new = Load<Value>(SharedLoad(LoadFrame(keys, of: cache), deadlines: deadlines))
            let (load, before) = enter(new, id)
            guard load === new else {
                if let value = try await load.result.sharedOutcome() { return value }
                continue
            }
            new.result.runs(in: start { await self.run(new, after: before, in: id, bound: bound, run) })
            return try await new.result.ownOutcome()
        }
        let load = SharedLoad<Value>(LoadFrame(keys, of: cache), deadlines: deadlines)
        underWay.begin()
        load.runs(
            in: start { [underWay] in
                load.end(await load.outcome(run))
                underWay.end()
            })
        return try await load.ownOutcome()
    }

    /// Enters a load, with the one that it has to wait for, or finds the one to share.
    private func enter<Value>(_ new: Load<Value>, _ id: LineID) -> (load: Load<Value>, before: LoadFrame?) {
        lines.withLock { lines in
            if let next = lines[id]?.next as? Load<Value> { return (next, nil) }
            underWay.begin()
            guard let running = lines[id]?.running else {
                lines[id] = Line(running: new)
                new.start.resolve(.success(()))
                return (new, nil)
            }
            lines[id]?.next = new
            return (new, running.frame)
        }
    }

    private func run<Value>(
        _ load: Load<Value>, after before: LoadFrame?, in id: LineID, bound: Duration,
        _ run: @escaping @Sendable () async throws -> Value
    ) async {
        let result = load.result
        let outcome = await result.outcome {
            // The load before may need this one, and then neither would ever begin.
            if let before { try await before.whileAwaited { try await load.start.value() } }
            result.letGo(after: bound) { self.letNextBegin(after: load, in: id) }
            return try await run()
        }
        letNextBegin(after: load, in: id)
        result.end(outcome)
        result.callOffBound()
        underWay.end()
    }

    /// Lets the next load begin, unless this one holds up nobody any more.
    private func letNextBegin(after load: any AnyLoad, in id: LineID) {
        let next = lines.withLock { lines -> (any AnyLoad)? in
            // It has not begun, and whoever shares it learns why.
            if lines[id]?.next === load { lines[id]?.next = nil }
            guard lines[id]?.running === load else { return nil }
            let next = lines[id]?.next
            lines[id] = next.map { Line(running: $0) }
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
