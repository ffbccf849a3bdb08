import Synchronization

/// Calls that were answered together, whose tasks go on.
///
/// Resumed one by one, each task would be a job of the global executor by itself: an allocation, a place in two queues,
/// and often two threads that contend for them. Here one job runs the rests of the tasks one after the other. Should
/// one of them take its time, the next job, which each one starts when it finds work, runs those after it.
final class AnsweredCalls: Sendable {
    /// For so few, a job of its own for each costs no more.
    private static let few = 4

    private let calls: [Call]
    private let priority: TaskPriority?
    private let next = Atomic(0)

    /// - Parameter calls: calls of one priority.
    private init(_ calls: [Call], _ priority: JobPriority) {
        self.calls = calls
        self.priority = TaskPriority(priority)
    }

    /// Resumes the tasks of calls whose answers are prepared, those of each priority by themselves.
    static func resume(_ calls: [Call]) {
        guard calls.count > few else {
            for call in calls { call.finish() }
            return
        }
        let priority = calls[0].priority
        if calls.allSatisfy({ $0.priority.rawValue == priority.rawValue }) {
            AnsweredCalls(calls, priority).startJob()
        } else {
            let groups = Dictionary(grouping: calls) { $0.priority.rawValue }
            for (priority, calls) in groups.sorted(by: { $0.key > $1.key }) {
                AnsweredCalls(calls, JobPriority(rawValue: priority)).startJob()
            }
        }
    }

    private func startJob() {
        Task.detached(priority: priority) { self.run() }
    }

    private func run() {
        var index = next.add(1, ordering: .relaxed).oldValue
        if index + 1 < calls.count { startJob() }
        while index < calls.count {
            calls[index].finishHere()
            index = next.add(1, ordering: .relaxed).oldValue
        }
    }
}
