import Testing

@testable import Memcached

/// Whether two workers share the gets, on a clock of the test's own.
@Suite("Sharing on trial")
struct SharingTrialTests {
    /// A trial, and a machine on which sharing changes how many gets an epoch has.
    private struct Machine {
        var trial = SharingTrial()
        var alone = 1000
        var shared = 1000
        private var gets = 0
        private var time: UInt64 = 1

        init(alone: Int, shared: Int) {
            (self.alone, self.shared) = (alone, shared)
            trial.note(gets: gets, at: time)
        }

        /// Lets epochs pass, and says in which of them the gets were shared.
        mutating func pass(_ epochs: Int) -> [Int] {
            (0..<epochs).filter { _ in
                let isShared = trial.isShared
                gets += isShared ? shared : alone
                time += SharingTrial.epoch
                trial.note(gets: gets, at: time)
                return isShared
            }
        }
    }

    private let patience = SharingTrial.patience.lowerBound

    @Test("is kept where two workers make more")
    func gain() {
        var machine = Machine(alone: 1000, shared: 1060)
        #expect(machine.pass(patience) == [])
        #expect(machine.pass(2 * patience).count == 2 * patience - 1, "one of them tries it without")
    }

    @Test("is ended after an epoch where they make less, or hardly more", arguments: [500, 1000, 1049])
    func noGain(shared: Int) {
        var machine = Machine(alone: 1000, shared: shared)
        #expect(machine.pass(patience + 1) == [patience])
        #expect(machine.pass(2 * patience) == [])
        #expect(machine.pass(1) == [0], "the next trial comes after twice the time")
    }

    @Test("is given up when the machine changes, and tried at least now and then")
    func change() {
        var machine = Machine(alone: 1000, shared: 1500)
        _ = machine.pass(3 * patience)
        machine.shared = 500
        _ = machine.pass(SharingTrial.patience.upperBound + 1)
        #expect(!machine.trial.isShared)
        _ = machine.pass(1000)
        machine.shared = 1500
        _ = machine.pass(SharingTrial.patience.upperBound + 2)
        #expect(machine.trial.isShared)
    }

    @Test("ends at once when there is nothing to share, and what is noted late does not count")
    func stop() {
        var machine = Machine(alone: 1000, shared: 1500)
        _ = machine.pass(patience)
        #expect(machine.trial.isShared)
        machine.trial.note(gets: 0, at: 0)
        #expect(machine.trial.isShared)
        machine.trial.stop()
        #expect(!machine.trial.isShared)
    }
}
