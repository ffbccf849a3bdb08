import Synchronization

/// Calls that were answered together, whose tasks go on.
///
/// Resumed one by one, each task would be a job of the global executor by itself: an allocation, a place in two queues,
/// and often two threads that contend for them. Here the thread that has the answers runs the rests of the tasks one
/// after the other, as long as they are quick. Those that remain go on in one job of the global executor; should one of
/// them take its time, the next job, which each one starts when it finds work, runs those after it.
final class AnsweredCalls: Sendable {
    /// For so few, a job of its own for each costs no more.
    private static let few = 4
    /// How many nanoseconds so many tasks may keep the thread that answers them.
    private static func allowance(_ count: Int) -> UInt64 { 20_000 + 8_000 * UInt64(count) }

    private let calls: [Call]
    private let priority: TaskPriority?
    private let next = Atomic(0)

    /// - Parameter calls: calls of one priority.
    private init(_ calls: [Call], _ priority: JobPriority) {
        self.calls = calls
        self.priority = TaskPriority(priority)
    }

    /// Leaves the tasks of calls whose answers are prepared to the global executor, but for those of the highest priority
    /// among them, which it returns.
    static func leaveAllButMostUrgent(of calls: [Call]) -> AnsweredCalls? {
        guard let first = calls.first?.priority else { return nil }
        if calls.allSatisfy({ $0.priority.rawValue == first.rawValue }) { return AnsweredCalls(calls, first) }
        let groups = Dictionary(grouping: calls) { $0.priority.rawValue }
            .sorted { $0.key > $1.key }
            .map { AnsweredCalls($0.value, JobPriority(rawValue: $0.key)) }
        for group in groups.dropFirst() { group.leave() }
        return groups.first
    }

    /// The processor time of a thread that went on with tasks.
    struct Effort {
        var began: UInt64
        var ended: UInt64
        /// Whether the tasks were slow, so that some were left.
        var isSlow = false

        var time: UInt64 { ended - began }
    }

    /// Goes on with the tasks on this thread, and leaves those that remain when they are not quick.
    func goOn(_ clock: ThreadClock) -> Effort {
        let (began, processorBegan) = (clock.time(), clock.processorTime())
        var count = 0
        while let place = take() {
            calls.withUncounted(place) { $0.finishHere() }
            count += 1
            // Looking at the clock after each would cost as much as some tasks do.
            guard count <= 2 || count.isMultiple(of: 8) || count == calls.count else { continue }
            guard clock.time() - began > Self.allowance(count) else { continue }
            // It may have been without a processor.
            let effort = Effort(began: processorBegan, ended: clock.processorTime(), isSlow: true)
            guard effort.time > Self.allowance(count) else { continue }
            leave()
            return effort
        }
        return Effort(began: processorBegan, ended: clock.processorTime())
    }

    /// Leaves the tasks that have not gone on yet to the global executor.
    func leave() {
        let left = calls.count - next.load(ordering: .relaxed)
        if left > Self.few {
            startJob()
        } else {
            while let place = take() { calls[place].finish() }
        }
    }

    /// The place of the next call, which nobody else takes.
    private func take() -> Int? {
        let place = next.add(1, ordering: .relaxed).oldValue
        return place < calls.count ? place : nil
    }

    private func startJob() {
        Task.detached(priority: priority) { self.run() }
    }

    private func run() {
        guard let first = take() else { return }
        if next.load(ordering: .relaxed) < calls.count { startJob() }
        calls[first].finishHere()
        while let place = take() { calls[place].finishHere() }
    }
}
