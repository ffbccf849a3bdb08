import Testing

@testable import Memcached

@Suite("The share of tasks in a worker's time")
struct TaskShareTests {
    /// What the share is found to be when tasks take so many of every thousand nanoseconds.
    private func verdicts(_ tasks: [UInt64]) -> [Bool] {
        var share = TaskShare()
        // A window begins where the last one ended, the first one with the first effort.
        return (0...tasks.count * 1000).compactMap { round in
            let end = UInt64(round + 1) * 1000
            return share.note(AnsweredCalls.Effort(began: end - tasks[max(round - 1, 0) / 1000], ended: end))
        }
    }

    @Test("is large from 56 % on, small below a half, and left as it was in between")
    func share() {
        #expect(verdicts([0, 559, 560, 900, 530, 500]) == [false, false, true, true, true, true])
        #expect(verdicts([560, 499, 530, 559]) == [true, false, false, false])
    }
}
