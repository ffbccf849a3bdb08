#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A lock that threads can wait on. `Mutex` of the standard library has no condition variable.
// @unchecked: pthread mutexes and condition variables are made to be shared.
final class ConditionLock: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        Self.check(pthread_mutex_init(mutex, nil))
        #if canImport(Darwin)
        Self.check(pthread_cond_init(condition, nil))
        #else
        var attributes = pthread_condattr_t()
        Self.check(pthread_condattr_init(&attributes))
        Self.check(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC))
        Self.check(pthread_cond_init(condition, &attributes))
        pthread_condattr_destroy(&attributes)
        #endif
    }

    deinit {
        Self.check(pthread_cond_destroy(condition))
        Self.check(pthread_mutex_destroy(mutex))
        condition.deallocate()
        mutex.deallocate()
    }

    func locked<Result: ~Copyable>(_ body: () throws -> Result) rethrows -> Result {
        Self.check(pthread_mutex_lock(mutex))
        defer { Self.check(pthread_mutex_unlock(mutex)) }
        return try body()
    }

    /// Inside `locked`: gives the lock away until another thread signals. It may also return for no reason.
    func wait() { Self.check(pthread_cond_wait(condition, mutex)) }

    /// Inside `locked`: waits for a signal, and for so many nanoseconds at most.
    func wait(atMost nanoseconds: UInt64) {
        #if canImport(Darwin)
        var time = Self.time(nanoseconds)
        _ = pthread_cond_timedwait_relative_np(condition, mutex, &time)
        #else
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        var time = Self.time(UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec) + nanoseconds)
        _ = pthread_cond_timedwait(condition, mutex, &time)
        #endif
    }

    func signal() { Self.check(pthread_cond_signal(condition)) }

    private static func time(_ nanoseconds: UInt64) -> timespec {
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return timespec(tv_sec: Int(seconds), tv_nsec: Int(rest))
    }

    private static func check(_ code: Int32) { precondition(code == 0, "a lock failed with error \(code)") }
}
