import TestSupport
import Testing

@testable import MintCache

@Suite("Deadlines")
struct DeadlinesTests {
    private let clock = ManualClock()

    @Test("are acted on when they come, in their order, unless they are called off")
    func acts() async throws {
        let deadlines = Deadlines(clock: clock)
        let (first, second, third) = (Counter(), Counter(), Counter())
        _ = deadlines.schedule(after: .milliseconds(100)) { first.increment() }
        let ticket = deadlines.schedule(after: .milliseconds(100)) { second.increment() }
        try await eventually { clock.pausing == 1 }
        clock.advance(by: .milliseconds(50))
        _ = deadlines.schedule(after: .milliseconds(100)) { third.increment() }
        deadlines.cancel(ticket)
        clock.advance(by: .milliseconds(50))
        try await eventually { first.value == 1 && clock.pausing == 1 }
        #expect(third.value == 0)
        clock.advance(by: .milliseconds(50))
        try await eventually { third.value == 1 }
        #expect(second.value == 0)
    }

    @Test("that were called off keep nothing for as long as they would have slept")
    func letGo() async throws {
        weak var gone: Deadlines?
        do {
            let deadlines = Deadlines(clock: clock)
            gone = deadlines
            deadlines.cancel(deadlines.schedule(after: .seconds(30)) {})
            _ = deadlines.schedule(after: .seconds(60)) {}
            try await eventually { clock.sleeping >= 1 }
        }
        #expect(gone == nil)
    }

    @Test("of one duration share one sleep, however many there are, and those of another do not wait for it")
    func sharesSleep() async throws {
        let deadlines = Deadlines(clock: clock)
        let (long, short) = (Counter(), Counter())
        for _ in 0..<1000 { _ = deadlines.schedule(after: .milliseconds(900)) { long.increment() } }
        _ = deadlines.schedule(after: .milliseconds(10)) { short.increment() }
        try await eventually { clock.pausing == 2 }
        clock.advance(by: .milliseconds(10))
        try await eventually { short.value == 1 }
        #expect(long.value == 0)
        clock.advance(by: .milliseconds(890))
        try await eventually { long.value == 1000 }
        #expect(clock.pauses == 2)
    }

    @Test("that are called off leave nothing running, and new ones are acted on after that")
    func goesOn() async throws {
        let deadlines = Deadlines(clock: clock)
        for _ in 0..<3 {
            let done = Counter()
            deadlines.cancel(deadlines.schedule(after: .milliseconds(100)) { Issue.record("it was called off") })
            clock.advance(by: .milliseconds(200))
            try await eventually { clock.pausing == 0 }
            _ = deadlines.schedule(after: .milliseconds(100)) { done.increment() }
            try await eventually { clock.pausing == 1 }
            clock.advance(by: .milliseconds(100))
            try await eventually { done.value == 1 }
        }
    }
}
