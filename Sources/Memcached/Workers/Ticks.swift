#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Nanoseconds since some point in the past, which do not jump.
enum Ticks {
    /// As of the kernel's last tick, which is some milliseconds ago at most. A fifth of the cost of ``now``.
    static var coarse: UInt64 {
        #if canImport(Darwin)
        clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW_APPROX)
        #else
        read(CLOCK_MONOTONIC_COARSE)
        #endif
    }

    static var now: UInt64 {
        #if canImport(Darwin)
        clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW)
        #else
        read(CLOCK_MONOTONIC)
        #endif
    }

    /// The processor time of the calling thread. Twenty times as expensive as ``now``.
    static var processorTime: UInt64 {
        #if canImport(Darwin)
        clock_gettime_nsec_np(CLOCK_THREAD_CPUTIME_ID)
        #else
        read(CLOCK_THREAD_CPUTIME_ID)
        #endif
    }

    #if !canImport(Darwin)
    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
    #endif
}

extension Duration {
    /// Whole nanoseconds, at least 0.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds) / 1_000_000_000)
    }
}

/// What a thread measures its own work with, in nanoseconds; injected by tests.
struct ThreadClock: Sendable {
    /// It goes on while the thread has no processor.
    var time: @Sendable () -> UInt64
    var processorTime: @Sendable () -> UInt64

    static let system = ThreadClock(time: { Ticks.now }, processorTime: { Ticks.processorTime })
}
