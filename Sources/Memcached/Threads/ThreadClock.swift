#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What a thread measures its own work with, in nanoseconds.
struct ThreadClock: Sendable {
    /// The time since some point in the past, which does not jump. It goes on while the thread has no processor.
    var time: @Sendable () -> UInt64
    /// The processor time that the calling thread has used. Twenty times as expensive to ask for.
    var processorTime: @Sendable () -> UInt64

    static let system = ThreadClock(
        time: { read(CLOCK_MONOTONIC) }, processorTime: { read(CLOCK_THREAD_CPUTIME_ID) })

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
