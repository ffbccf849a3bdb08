import Testing

@testable import Memcached

@Suite("A worker's pace")
struct PaceTests {
    /// How many batches are left to the global executor before the next one is tried.
    private func pause(_ pace: inout Pace) -> Int {
        var count = 0
        while !pace.allowsNext() { count += 1 }
        return count
    }

    @Test("lets quick tasks go on for ever")
    func quick() {
        var pace = Pace()
        for _ in 1...100 {
            let count = pause(&pace)
            #expect(count == 0)
            pace.note(isQuick: true)
        }
    }

    @Test("leaves twice as many batches each time that tasks are slow, up to a bound, until some are quick again")
    func slow() {
        var pace = Pace()
        var pauses: [Int] = []
        for isQuick in [Bool](repeating: false, count: 13) + [true, false, true] {
            pauses.append(pause(&pace))
            pace.note(isQuick: isQuick)
        }
        #expect(pauses == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024, 0, 1])
    }
}
