import Synchronization

/// Calls that have their replies, and whose tasks go on.
///
/// Resumed one by one, each task would be a job of the global executor by itself: an allocation, a place in two queues,
/// and often two threads that contend for them. Here the thread that has the replies runs the rests of the tasks one
/// after the other, as long as they are quick. Those that remain go on in one job of the global executor; should one of
/// them take its time, the next job, which each one starts when it finds work, runs those after it.
final class ReadyCalls: Sendable {
    /// For so few, a job of its own for each costs no more.
    private static let few = 4
    /// How many nanoseconds so many tasks may keep the thread that has their replies.
    private static func allowance(_ count: Int) -> UInt64 { 20_000 + 8_000 * UInt64(count) }

    private let calls: Mutex<CallList>
    private let priority: TaskPriority?

    /// - Parameter calls: calls of one priority.
    private init(_ calls: consuming CallList, _ priority: JobPriority) {
        self.calls = Mutex(calls)
        self.priority = TaskPriority(priority)
    }

    /// Leaves the tasks of calls whose replies are prepared to the global executor, but for those of the highest
    /// priority among them, which it returns.
    static func leaveAllButMostUrgent(of calls: consuming CallList) -> ReadyCalls? {
        let first = takeMostUrgent(of: &calls)
        while let others = takeMostUrgent(of: &calls) { others.leave() }
        return first
    }

    private static func takeMostUrgent(of calls: inout CallList) -> ReadyCalls? {
        guard !calls.isEmpty else { return nil }
        var (lowest, highest) = (UInt8.max, UInt8.min)
        calls.forEach {
            let priority = $0.priority.rawValue
            lowest = min(lowest, priority)
            highest = max(highest, priority)
        }
        let urgent =
            lowest == highest
            ? exchange(&calls, with: CallList()) : calls.take { $0.priority.rawValue == highest }
        return ReadyCalls(urgent, JobPriority(rawValue: highest))
    }

    /// Goes on with the tasks on this thread, and leaves those that remain when they are not quick.
    ///
    /// - Returns: when they were slow, the processor time in nanoseconds for which they have kept the thread.
    func runHere(_ clock: ThreadClock = .system) -> UInt64? {
        let (began, processorBegan) = (clock.time(), clock.processorTime())
        var count = 0
        while let (call, left) = take() {
            call.finishHere()
            count += 1
            // Looking at the clock after each would cost as much as some tasks do.
            guard count <= 2 || count.isMultiple(of: 8) || left == 0 else { continue }
            guard clock.time() - began > Self.allowance(count) else { continue }
            // The thread may have been without a processor.
            let effort = clock.processorTime() - processorBegan
            guard effort > Self.allowance(count) else { continue }
            leave()
            return effort
        }
        return nil
    }

    /// Leaves the tasks that have not gone on yet to the global executor.
    func leave() {
        if calls.withLock({ $0.count }) > Self.few {
            startJob()
        } else {
            while let (call, _) = take() { call.finish() }
        }
    }

    /// The next call, which nobody else takes, and how many are left. The thread that takes it frees it, most likely,
    /// and finds the memory for the call that its task makes next in the processor's cache.
    private func take() -> (call: Call, left: Int)? {
        calls.withLock { calls in calls.popFirst().map { ($0, calls.count) } }
    }

    private func startJob() {
        Task.detached(priority: priority) { self.run() }
    }

    private func run() {
        guard let (first, left) = take() else { return }
        if left > 0 { startJob() }
        first.finishHere()
        while let (call, _) = take() { call.finishHere() }
    }
}
