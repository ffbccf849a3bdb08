import Synchronization

/// What a load comes to: for the caller whose load it is, however long that takes, and for all who share it.
///
/// Every wait for another caller's result goes through here, and only here it has its bound: when that is over, whoever
/// shares the load is let go, reads again, and loads for itself.
final class SharedLoad<Outcome: Sendable>: Sendable {
    let frame: LoadFrame
    private let own = Promise<Outcome>()
    /// `nil` once sharers have been let go.
    private let shared = Promise<Outcome?>()
    private let deadlines: Deadlines
    private let bound = Mutex<(ticket: Deadlines.Ticket?, isOver: Bool)>((nil, false))
    private struct Waiters {
        var count = 0
        /// Whether anybody has waited: the one whose load it is comes after it has begun.
        var haveCome = false
        /// Whether the load is of no use to anybody else.
        var areAll = false
        var loadIsOver = false

        var areGone: Bool { areAll && haveCome && count == 0 && !loadIsOver }
    }

    private let waiters = Mutex(Waiters())
    private let task = Mutex<(running: Task<Void, Never>?, priority: TaskPriority)>((nil, .background))

    init(_ frame: LoadFrame, deadlines: Deadlines) {
        self.frame = frame
        self.deadlines = deadlines
    }

    // MARK: The load

    /// Says which task the load runs in, so that urgent callers can make it urgent.
    func runs(in running: Task<Void, Never>) {
        let priority = task.withLock { task in
            task.running = running
            return task.priority
        }
        raise(running, to: priority)
    }

    /// Lets sharers go when a time is over, counted from now. It takes the place of the bound before.
    ///
    /// - Parameter then: what else to do then.
    func letGo(after duration: Duration, then: @escaping @Sendable () -> Void = {}) {
        let ticket = deadlines.schedule(after: duration) { [self] in
            then()
            shared.resolve(.success(nil))
        }
        let outdated = bound.withLock { bound -> Deadlines.Ticket? in
            guard !bound.isOver else { return ticket }
            defer { bound.ticket = ticket }
            return bound.ticket
        }
        if let outdated { deadlines.cancel(outdated) }
    }

    /// From now on the load is of use to those only who wait for it: when none does, it is cancelled.
    func cancelWhenAlone() {
        let isAlone = waiters.withLock { waiters in
            waiters.areAll = true
            return waiters.areGone
        }
        if isAlone { cancel() }
    }

    private func leave() {
        let isAlone = waiters.withLock { waiters in
            waiters.count -= 1
            return waiters.areGone
        }
        if isAlone { cancel() }
    }

    private func cancel() { task.withLock { $0.running }?.cancel() }

    /// Tells all who wait what came of the load.
    func end(_ result: Result<Outcome, any Error>) {
        frame.end()
        waiters.withLock { $0.loadIsOver = true }
        own.resolve(result)
        shared.resolve(result.map(Optional.some))
    }

    /// Nobody waits for anything of it any more: there is nothing to bound.
    func callOffBound() {
        let ticket = bound.withLock { bound in
            bound.isOver = true
            return bound.ticket.take()
        }
        if let ticket { deadlines.cancel(ticket) }
    }

    // MARK: Those who wait

    /// For the caller whose load it is.
    ///
    /// - Throws: the load's error, `CancellationError` as soon as the task is cancelled, or ``CacheError`` with code
    ///   `reentrantLoad`.
    func ownOutcome() async throws -> Outcome { try await wait(for: own) }

    /// For all others; `nil` when they have been let go.
    ///
    /// - Throws: as ``ownOutcome()``.
    func sharedOutcome() async throws -> Outcome? { try await wait(for: shared) }

    /// Waits for something that comes of the load, and makes it as urgent as the caller is.
    func wait<Result: Sendable>(for promise: Promise<Result>) async throws -> Result {
        waiters.withLock { waiters in
            waiters.count += 1
            waiters.haveCome = true
        }
        defer { leave() }
        return try await frame.whileAwaited {
            raise(to: Task.currentPriority)
            guard #available(macOS 26, iOS 26, tvOS 26, watchOS 26, visionOS 26, *) else {
                return try await promise.value()
            }
            return try await withTaskPriorityEscalationHandler {
                try await promise.value()
            } onPriorityEscalated: { _, priority in
                raise(to: priority)
            }
        }
    }

    /// Makes the load as urgent as the most urgent of those who wait for it.
    private func raise(to priority: TaskPriority) {
        let running = task.withLock { task -> Task<Void, Never>? in
            guard priority > task.priority else { return nil }
            task.priority = priority
            return task.running
        }
        if let running { raise(running, to: priority) }
    }

    private func raise(_ running: Task<Void, Never>, to priority: TaskPriority) {
        if #available(macOS 26, iOS 26, tvOS 26, watchOS 26, visionOS 26, *) { running.escalatePriority(to: priority) }
    }
}
