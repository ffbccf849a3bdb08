#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The time that freshness, leases and pauses are counted in. Injected, so that a test never sleeps.
public protocol CacheClock: Sendable {
    /// The wall-clock time, which values and leases in the store are counted in.
    var now: WallTime { get }

    /// The time since some moment in the past, which nobody can set: what waits inside this process is counted in it.
    var elapsed: Duration { get }

    /// Whether a time has come: the same as `time <= now`, which it is by default, to the precision of the clock. It is
    /// there for clocks that can tell it at less cost.
    func hasReached(_ time: WallTime) -> Bool

    /// Suspends the task for a duration.
    ///
    /// - Throws: `CancellationError` as soon as the task is cancelled.
    func sleep(for duration: Duration) async throws
}

extension CacheClock {
    /// Whether a time has come.
    public func hasReached(_ time: WallTime) -> Bool { time <= now }
}

/// Microseconds since 1970-01-01T00:00:00Z.
public struct WallTime: Sendable, Hashable, Comparable {
    /// The count of microseconds.
    public var microseconds: Int64

    /// Makes a time from microseconds since 1970.
    public init(microseconds: Int64) { self.microseconds = microseconds }

    /// Whether the left time is before the right one.
    public static func < (left: WallTime, right: WallTime) -> Bool { left.microseconds < right.microseconds }

    /// The time a duration later; past the ends of the range it stays there, since times come from untrusted bytes.
    public static func + (time: WallTime, duration: Duration) -> WallTime {
        let (sum, overflow) = time.microseconds.addingReportingOverflow(duration.wholeMicroseconds)
        guard overflow else { return WallTime(microseconds: sum) }
        return WallTime(microseconds: duration < .zero ? .min : .max)
    }

    /// How long after the right time the left one is; at the ends of the range it stays there.
    public static func - (left: WallTime, right: WallTime) -> Duration {
        let (difference, overflow) = left.microseconds.subtractingReportingOverflow(right.microseconds)
        guard overflow else { return .microseconds(difference) }
        return .microseconds(left < right ? Int64.min : .max)
    }
}

extension Duration {
    /// The duration in microseconds, rounded towards zero, and at the ends of the range when it is beyond them.
    var wholeMicroseconds: Int64 { Int64(clamping: attoseconds / 1_000_000_000_000) }
}

/// The machine's real-time clock.
public struct SystemClock: CacheClock {
    /// Makes the clock.
    public init() {}

    /// The machine's wall-clock time.
    public var now: WallTime { Self.time(of: CLOCK_REALTIME) ?? WallTime(microseconds: 0) }

    /// The time since the machine was started.
    public var elapsed: Duration {
        #if os(Linux)
        let time = Self.time(of: CLOCK_BOOTTIME)
        #else
        let time = Self.time(of: CLOCK_MONOTONIC)
        #endif
        return .microseconds(time?.microseconds ?? 0)
    }

    /// Whether a time has come.
    public func hasReached(_ time: WallTime) -> Bool {
        #if os(Linux)
        // This clock takes a fifth of the time, as it only counts the kernel's ticks. It is late by one, 10 ms at most,
        // which does not matter with a second to go. Where the processor that counts them stands still for longer, as a
        // virtual one can, a time comes that much later.
        if let ticks = Self.time(of: CLOCK_REALTIME_COARSE), ticks.microseconds + 1_000_000 < time.microseconds {
            return false
        }
        #endif
        return time <= now
    }

    /// The time of one of the system's clocks; `nil` when it has none of that kind.
    private static func time(of clock: clockid_t) -> WallTime? {
        var time = timespec()
        guard clock_gettime(clock, &time) == 0 else { return nil }
        return WallTime(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    /// Suspends the task, on the clock that goes on while the machine sleeps.
    public func sleep(for duration: Duration) async throws {
        try await Task.sleep(for: duration)
    }
}
