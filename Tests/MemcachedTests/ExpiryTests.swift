import MintCache
import Testing

@testable import Memcached

@Suite("An expiry")
struct ExpiryTests {
    private let now = WallTime(microseconds: 1_800_000_000_000_000)
    private let day = 86_400

    @Test("is never rounded to 0, which is for ever, nor to less than was asked")
    func short() throws {
        #expect(try Expiry.seconds(for: nil, now: now) == 0)
        #expect(try Expiry.seconds(for: .nanoseconds(1), now: now) == 2)
        #expect(try Expiry.seconds(for: .milliseconds(999), now: now) == 2)
        #expect(try Expiry.seconds(for: .seconds(1), now: now) == 2)
        #expect(try Expiry.seconds(for: .milliseconds(1001), now: now) == 3)
    }

    @Test("is relative up to 30 days and a Unix time beyond")
    func thirtyDays() throws {
        #expect(try Expiry.seconds(for: .seconds(30 * day - 1), now: now) == 30 * day)
        #expect(try Expiry.seconds(for: .seconds(30 * day), now: now) == 1_800_000_000 + 30 * day + 1)
        #expect(try Expiry.seconds(for: .seconds(365 * day), now: now) == 1_800_000_000 + 365 * day + 1)
    }

    @Test("does not wrap around 32 bits")
    func latest() throws {
        for duration in [Duration.seconds(100 * 365 * day), .seconds(Int64.max), .seconds(1_000_000_000)] {
            #expect(try Expiry.seconds(for: duration, now: now) == Int(Int32.max))
        }
    }

    @Test("that is not positive is an error")
    func notPositive() {
        for duration in [Duration.zero, .nanoseconds(-1), .seconds(Int64.min)] {
            let error = #expect(throws: CacheError.self) { try Expiry.seconds(for: duration, now: now) }
            #expect(error?.code == .invalidDuration)
        }
    }
}
