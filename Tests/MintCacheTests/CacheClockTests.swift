import TestSupport
import Testing

@testable import MintCache

@Suite("Whether a time has come")
struct CacheClockTests {
    @Test("by default, it has if it is not after now")
    func byDefault() {
        let clock = ManualClock()
        #expect(clock.hasReached(clock.now))
        #expect(clock.hasReached(clock.now + .microseconds(-1)))
        #expect(!clock.hasReached(clock.now + .microseconds(1)))
    }

    @Test("by the system's clock, too, however near or far the time is")
    func bySystemClock() {
        let clock = SystemClock()
        for past in [.zero, .microseconds(-1), .seconds(-2), .seconds(-3600)] as [Duration] {
            #expect(clock.hasReached(clock.now + past))
        }
        #expect(!clock.hasReached(clock.now + .seconds(3600)))
        #expect(clock.hasReached(WallTime(microseconds: .min)))
        #expect(!clock.hasReached(WallTime(microseconds: .max)))
    }
}
