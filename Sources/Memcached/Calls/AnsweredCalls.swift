import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The calls of a batch that was answered, whose tasks go on.
///
/// Resumed one by one, each task would be a job of the global executor by itself: an allocation, a place in two queues,
/// and often two threads that contend for them, which together cost as much as the I/O. Here one job runs the rests of
/// the tasks one after the other. Should one of them take its time, another job runs those after it, and so on: there
/// are as many such jobs as the machine has processors, each started when the one before it found work.
final class AnsweredCalls: Sendable {
    /// So few are resumed one by one.
    private static let few = 4
    static let processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))

    private let calls: [Call]
    private let next = Atomic(0)
    private let jobs = Atomic(0)

    /// - Parameter calls: calls that have their answers prepared.
    init(_ calls: [Call]) { self.calls = calls }

    /// Resumes the tasks, at the highest of their priorities.
    func resume() {
        if calls.count > Self.few {
            startJob(TaskPriority(rawValue: calls.reduce(0) { max($0, $1.priority) }))
        } else {
            for call in calls { call.finish() }
        }
    }

    private func startJob(_ priority: TaskPriority) {
        guard jobs.add(1, ordering: .relaxed).oldValue < Self.processors else { return }
        Task.detached(priority: priority) { self.run(priority) }
    }

    private func run(_ priority: TaskPriority) {
        var index = next.add(1, ordering: .relaxed).oldValue
        if index + 1 < calls.count { startJob(priority) }
        while index < calls.count {
            calls[index].finishHere()
            index = next.add(1, ordering: .relaxed).oldValue
        }
    }
}
