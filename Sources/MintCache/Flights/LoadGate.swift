import Synchronization

/// Lets so many loads run at a time, and has the others wait in a line that is bounded itself.
///
/// After an outage of the source it lets them through slowly: when as many loads as may run have failed one after the other,
/// one is let through at a time, then twice as many with each that works, as TCP does after a loss (RFC 5681).
final class LoadGate: Sendable {
    private final class Turn: Sendable {
        let come = Promise<Void>()
        let isGranted = Atomic(false)
    }

    private struct State {
        var running = 0
        /// How many may run.
        var allowed: Int
        /// How many have failed since one has worked.
        var failures = 0
        var line: [Turn] = []
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
            guard state.running < state.allowed && state.line.isEmpty || PlantedMistake.spareGate.isPlanted else {
                return false
            }
            state.running += 1
            return true
        }
    }

    /// Enters when a load may begin.
    ///
    /// - Throws: ``CacheError`` with code `tooManyLoads` when the line is full, or when the time is over before it is one's
    ///   turn; `CancellationError` as soon as the task is cancelled.
    func enter(within patience: Duration, _ deadlines: Deadlines) async throws {
        if tryEnter() { return }
        let turn = Turn()
        let isFull = state.withLock { state in
            guard state.line.count < longestLine else { return true }
            state.line.append(turn)
            return false
        }
        if isFull {
            throw CacheError(
                .tooManyLoads,
                "\(most) loads run and \(longestLine) wait for their turn already: raise maximumLoads, or find out why "
                    + "they take so long")
        }
        // There may be room since.
        change { _ in }
        let ticket = deadlines.schedule(after: patience) { [self] in
            guard remove(turn) else { return }
            turn.come.resolve(
                .failure(
                    CacheError(
                        .tooManyLoads,
                        "for \(patience) no load could begin, with \(most) that run: raise maximumLoads, or find out why "
                            + "they take so long")))
        }
        defer { deadlines.cancel(ticket) }
        do { try await turn.come.value() } catch {
            // It may have been its turn at the same moment.
            if !remove(turn), turn.isGranted.load(ordering: .acquiring) { leave() }
            throw error
        }
    }

    private func remove(_ turn: Turn) -> Bool {
        state.withLock { state in
            guard let index = state.line.firstIndex(where: { $0 === turn }) else { return false }
            state.line.remove(at: index)
            return true
        }
    }

    /// A load is over, or there was none.
    func leave() { change { $0.running -= 1 } }

    /// A load has worked, or failed.
    func note(hasWorked: Bool) {
        change { state in
            state.failures = hasWorked ? 0 : state.failures + 1
            if hasWorked { state.allowed = min(most, state.allowed * 2) }
            if state.failures >= most { state.allowed = 1 }
        }
    }

    /// Changes something, and lets those through for whom there is room then.
    private func change(_ body: (inout State) -> Void) {
        let turns = state.withLock { state -> [Turn] in
            body(&state)
            let count = max(0, min(state.allowed - state.running, state.line.count))
            state.running += count
            let turns = Array(state.line.prefix(count))
            state.line.removeFirst(count)
            for turn in turns { turn.isGranted.store(true, ordering: .releasing) }
            return turns
        }
        for turn in turns { turn.come.resolve(.success(())) }
    }
}

/// The right to run a load: a place in each gate that it has to pass.
struct LoadPlace: Sendable {
    let gates: [LoadGate]

    /// Of a load that has its place by the one that it is a part of.
    static let none = LoadPlace(gates: [])

    /// The load is over, or there is none.
    func leave() {
        for gate in gates { gate.leave() }
    }

    /// The load has worked, or failed.
    func note(hasWorked: Bool) {
        for gate in gates { gate.note(hasWorked: hasWorked) }
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
