import CacheUtils
import MintCache
import Synchronization

/// The machine's clock, which can skip ahead, so that nobody has to wait for values to expire.
final class SkippingClock: CacheClock {
    private let offset = Mutex(Duration.zero)
    private let base = SystemClock()

    var now: WallTime { base.now + offset.withLock { $0 } }

    var elapsed: Duration { base.elapsed + offset.withLock { $0 } }

    func sleep(for duration: Duration) async throws { try await base.sleep(for: duration) }

    func skip(_ duration: Duration) { offset.withLock { $0 += duration } }
}
