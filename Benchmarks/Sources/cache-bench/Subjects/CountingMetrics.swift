import CoreMetrics
import Synchronization

/// The least that a back-end for metrics can do: it counts.
final class CountingMetrics: MetricsFactory {
    private final class Count: CounterHandler, RecorderHandler, TimerHandler {
        private let count = Atomic(Int64(0))

        func increment(by amount: Int64) { count.add(amount, ordering: .relaxed) }
        func reset() { count.store(0, ordering: .relaxed) }
        func record(_ value: Int64) { increment(by: value) }
        func record(_ value: Double) { increment(by: Int64(value)) }
        func recordNanoseconds(_ duration: Int64) { increment(by: duration) }
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { Count() }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        Count()
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { Count() }
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
}
