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
    /// How long the tasks may keep the thread that answers them, in nanoseconds: so long each, and once so long more.
    private static let quick: (each: UInt64, more: UInt64) = (8_000, 20_000)

    private let calls: [Call]
    private let priority: TaskPriority?
    private let next = Atomic(0)

    /// - Parameter calls: calls of one priority.
    private init(_ calls: [Call], _ priority: JobPriority) {
        self.calls = calls
        self.priority = TaskPriority(priority)
    }

    /// Those of the highest priority among calls whose answers are prepared. The others are left to the global executor.
    static func mostUrgent(of calls: [Call]) -> AnsweredCalls? {
        guard let first = calls.first?.priority else { return nil }
        if calls.allSatisfy({ $0.priority.rawValue == first.rawValue }) { return AnsweredCalls(calls, first) }
        let groups = Dictionary(grouping: calls) { $0.priority.rawValue }
            .sorted { $0.key > $1.key }
            .map { AnsweredCalls($0.value, JobPriority(rawValue: $0.key)) }
        for group in groups.dropFirst() { group.leave() }
        return groups.first
    }

    /// Goes on with the tasks on this thread, and leaves those that remain when they are not quick.
    ///
    /// - Parameter now: a clock's nanoseconds.
    /// - Returns: whether the tasks were quick.
    func goOn(now: () -> UInt64) -> Bool {
        var (count, looks, slowLooks): (UInt64, Int, Int) = (0, 0, 0)
        var last = (time: now(), count: UInt64(0))
        while let call = take() {
            call.finishHere()
            count += 1
            // Looking at the clock after each would cost as much as some tasks do.
            guard count <= 2 || count & 7 == 0 else { continue }
            let time = now()
            looks += 1
            if time - last.time > Self.quick.more + (count - last.count) * Self.quick.each { slowLooks += 1 }
            last = (time, count)
            if slowLooks > 1, 2 * slowLooks > looks {
                leave()
                return false
            }
        }
        return 2 * slowLooks <= looks
    }

    /// Leaves the tasks that have not gone on yet to the global executor.
    func leave() {
        let left = calls.count - next.load(ordering: .relaxed)
        if left > Self.few {
            startJob()
        } else {
            while let call = take() { call.finish() }
        }
    }

    private func take() -> Call? {
        let index = next.add(1, ordering: .relaxed).oldValue
        return index < calls.count ? calls[index] : nil
    }

    private func startJob() {
        Task.detached(priority: priority) { self.run() }
    }

    private func run() {
        guard let first = take() else { return }
        if next.load(ordering: .relaxed) < calls.count { startJob() }
        first.finishHere()
        while let call = take() { call.finishHere() }
    }
}
