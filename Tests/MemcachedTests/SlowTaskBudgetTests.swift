import Testing

@testable import Memcached

@Suite("A worker's pace")
struct SlowTaskBudgetTests {
    @Test("lets quick tasks go on, and slow ones for as long as one may keep the thread")
    func ahead() {
        var pace = SlowTaskBudget()
        #expect(pace.allowsNext(at: 0))
        pace.note(slow: SlowTaskBudget.ahead, at: 1_000_000_000)
        #expect(pace.allowsNext(at: 1_000_000_000))
        pace.note(slow: 1000, at: 1_000_000_000)
        #expect(!pace.allowsNext(at: 1_000_000_000))
        #expect(!pace.allowsNext(at: 1_000_019_999))
        #expect(pace.allowsNext(at: 1_000_020_000))
    }

    @Test("gives slow tasks a twentieth of the time in the long run")
    func share() {
        var pace = SlowTaskBudget()
        var (time, slow): (UInt64, UInt64) = (1_000_000_000, 0)
        while time < 3_000_000_000 {
            if pace.allowsNext(at: time) {
                time += 1_500_000
                slow += 1_500_000
                pace.note(slow: 1_500_000, at: time)
            } else {
                time += 100_000
            }
        }
        #expect((95_000_000...110_000_000).contains(slow), "\(slow) of 2,000,000,000 ns")
    }
}
