import Synchronization

/// Whether a thread goes on with the tasks of its calls itself, and the tasks that it goes on with just now.
// @unchecked: belongs to the thread that has the role, or to the timekeeper when it has taken the role from it.
final class Resumption: @unchecked Sendable {
    private var budget = SlowTaskBudget()
    /// Those whose tasks go on just now.
    private var ready: ReadyCalls?
    /// Threads that lost their role and are with their task still. While there is one, tasks go on elsewhere, so that
    /// there are at most two threads for a role.
    private let kept = Atomic(0)

    /// Takes calls whose tasks this thread is to go on with. The others go on elsewhere: those of a lower priority, and
    /// all when tasks have kept the thread too much of late.
    func begin(_ calls: consuming CallList) -> ReadyCalls? {
        guard let calls = ReadyCalls.leaveAllButMostUrgent(of: calls) else { return nil }
        guard kept.load(ordering: .relaxed) == 0, budget.allowsNext(at: Ticks.now) else {
            calls.leave()
            return nil
        }
        ready = calls
        return calls
    }

    /// Goes on with the tasks. What is noted of it is lost if the thread loses its role meanwhile.
    func run(_ calls: ReadyCalls) -> UInt64? { calls.runHere() }

    /// The thread is done with the tasks.
    ///
    /// - Parameter slow: for how many nanoseconds slow ones have kept it.
    func end(slow: UInt64?) {
        ready = nil
        if let slow { budget.note(slow: slow, at: Ticks.now) }
    }

    /// A thread that has lost its role is done with its task.
    func noteReturn() { kept.subtract(1, ordering: .relaxed) }

    /// For the timekeeper, which has taken the role from a thread that a task keeps: the tasks that wait for that one
    /// go on elsewhere.
    func leave() {
        kept.add(1, ordering: .relaxed)
        ready?.leave()
        ready = nil
        budget.note(slow: Timekeeper.longestTurn, at: Ticks.now)
    }
}
