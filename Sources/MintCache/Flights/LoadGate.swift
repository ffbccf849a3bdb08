import Synchronization

/// Lets so many loads run at a time, and has the others wait in a line that is bounded itself.
///
/// After an outage of the source it lets them through slowly: when as many loads as it lets through have failed one after the
/// other, one is let through at a time, then twice as many with each that works, as TCP does after a loss (RFC 5681).
final class LoadGate: Sendable {
    private struct State {
        var running = 0
        /// How many may run.
        var allowed: Int
        /// How many have failed since one has worked.
        var failures = 0
        var line: [Promise<Void>] = []
    }

    private let most: Int
    private let longestLine: Int
    private let state: Mutex<State>

    /// - Parameters:
    ///   - most: how many loads may run at a time.
    ///   - longestLine: how many may wait.
    init(_ most: Int, longestLine: Int) {
        self.most = most
        self.longestLine = longestLine
        state = Mutex(State(allowed: most))
    }

    /// Enters if a load may begin at once.
    func tryEnter() -> Bool {
        state.withLock { state in
            guard state.running < state.allowed, state.line.isEmpty else { return false }
            state.running += 1
            return true
        }
    }

    /// Enters when a load may begin.
    ///
    /// - Throws: ``CacheError`` with code `tooManyLoads` when the line is full, or when the time is over before it is one's
    ///   turn; `CancellationError` as soon as the task is cancelled.
    func enter(within patience: Duration, _ deadlines: Deadlines) async throws {
        let turn = Promise<Void>()
        let (mayEnter, isFull) = state.withLock { state -> (Bool, Bool) in
            if state.running < state.allowed, state.line.isEmpty {
                state.running += 1
                return (true, false)
            }
            guard state.line.count < longestLine else { return (false, true) }
            state.line.append(turn)
            return (false, false)
        }
        if mayEnter { return }
        if isFull {
            throw CacheError(
                .tooManyLoads,
                "\(most) loads run and \(longestLine) wait for their turn already: raise maximumLoads, or find out why "
                    + "they take so long")
        }
        let ticket = deadlines.schedule(after: patience) { [self] in
            if remove(turn) {
                turn.resolve(
                    .failure(
                        CacheError(
                            .tooManyLoads,
                            "for \(patience) no load could begin, with \(most) that run: raise maximumLoads, or find "
                                + "out why they take so long")))
            }
        }
        defer { deadlines.cancel(ticket) }
        do { try await turn.value() } catch {
            // It may have been its turn at the same moment.
            if error is CancellationError, !remove(turn) { leave() }
            throw error
        }
    }

    private func remove(_ turn: Promise<Void>) -> Bool {
        state.withLock { state in
            guard let index = state.line.firstIndex(where: { $0 === turn }) else { return false }
            state.line.remove(at: index)
            return true
        }
    }

    /// A load is over.
    ///
    /// - Parameter hasWorked: `nil` where nothing was loaded.
    func leave(hasWorked: Bool? = nil) {
        let turns = state.withLock { state -> [Promise<Void>] in
            state.running -= 1
            switch hasWorked {
            case true?:
                state.failures = 0
                state.allowed = min(most, state.allowed * 2)
            case false?:
                state.failures += 1
                if state.failures >= most { state.allowed = 1 }
            case nil: break
            }
            let count = max(0, min(state.allowed - state.running, state.line.count))
            state.running += count
            defer { state.line.removeFirst(count) }
            return Array(state.line.prefix(count))
        }
        for turn in turns { turn.resolve(.success(())) }
    }

    /// How many run, and how many wait.
    var counts: (running: Int, waiting: Int) { state.withLock { ($0.running, $0.line.count) } }
}

/// The right to run a load: a place in each gate that it has to pass.
struct LoadPlace: Sendable {
    let gates: [LoadGate]

    /// Of a load that has its place by the one that it is a part of.
    static let none = LoadPlace(gates: [])

    /// The load is over, or there is none.
    func leave(hasWorked: Bool? = nil) {
        for gate in gates { gate.leave(hasWorked: hasWorked) }
    }

    /// A place if a load may begin at once.
    static func now(in gates: [LoadGate]) -> LoadPlace? {
        var entered: [LoadGate] = []
        for gate in gates {
            guard gate.tryEnter() else {
                LoadPlace(gates: entered).leave()
                return nil
            }
            entered.append(gate)
        }
        return LoadPlace(gates: entered)
    }

    /// A place when a load may begin.
    ///
    /// - Throws: as ``LoadGate/enter(within:_:)``.
    static func wait(in gates: [LoadGate], within patience: Duration, _ deadlines: Deadlines) async throws -> LoadPlace
    {
        var entered: [LoadGate] = []
        for gate in gates {
            do { try await gate.enter(within: patience, deadlines) } catch {
                LoadPlace(gates: entered).leave()
                throw error
            }
            entered.append(gate)
        }
        return LoadPlace(gates: entered)
    }
}
