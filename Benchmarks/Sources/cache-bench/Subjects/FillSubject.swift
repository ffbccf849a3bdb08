import CacheUtils
import Memcached
import Synchronization

/// Misses: every call is for a key that nobody asked for before, and its loader returns at once.
struct FillSubject: Subject {
    let name = "fill"
    let callers: Int
    private let store: CountingStore
    private let function: CachedFunction<Int, String>
    private let numbers = Numbers()

    private final class Numbers: Sendable {
        private let next = Atomic(0)

        func take() -> Int { next.add(1, ordering: .relaxed).oldValue }
    }

    init(callers: Int, store: MemcachedStore, text: String) {
        self.callers = callers
        self.store = CountingStore(store)
        // Short-lived, so that the server is not filled with them.
        function = Cache(store: self.store, namespace: "bench")
            .cached("fill", ttl: .seconds(1), staleFor: .zero) { (_: Int) in text }
    }

    func run(seconds: Double) async throws -> Sample {
        let before = store.roundTrips
        let misses = TaskSubject(name: name, callers: callers) { _, meter in
            while meter.next() != nil { _ = try await function(numbers.take()) }
        }
        var sample = try await misses.run(seconds: seconds)
        sample.roundTrips = store.roundTrips - before
        return sample
    }
}

/// Has a function's results for so many numbers cached.
func warmUp<Value>(_ function: CachedFunction<Int, Value>, _ count: Int) async throws {
    try await withThrowingTaskGroup { tasks in
        for task in 0..<min(count, 256) {
            tasks.addTask { for number in stride(from: task, to: count, by: 256) { _ = try await function(number) } }
        }
        try await tasks.waitForAll()
    }
}
