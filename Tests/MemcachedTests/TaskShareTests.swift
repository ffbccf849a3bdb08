import Testing

@testable import Memcached

@Suite("The share of tasks in a worker's time")
struct TaskShareTests {
    /// What the share is found to be when tasks take so many of every thousand nanoseconds.
    private func verdicts(_ tasks: UInt64) -> [Bool] {
        var share = TaskShare()
        return (1...3000).compactMap { round in
            let end = UInt64(round) * 1000
            return share.note(AnsweredCalls.Effort(began: end - tasks, ended: end))
        }
    }

    @Test(
        "is large from a half on, small up to two fifths, and left as it was in between",
        arguments: [
            (500, [true, true]), (900, [true, true]), (450, []), (400, [false, false]), (0, [false, false]),
        ]
            as [(UInt64, [Bool])])
    func share(tasks: UInt64, expected: [Bool]) {
        #expect(verdicts(tasks) == expected)
    }
}
