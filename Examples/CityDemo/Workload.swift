import CacheUtils
import Synchronization

/// Several hundred tasks that ask for cities, over and over.
final class Workload: Sendable {
    /// What the tasks saw in one phase.
    struct Result: Sendable {
        var latencies: [Duration] = []
        var errors = 0
        var wrong = 0
        var outdated = 0

        func percentile(_ percent: Int) -> Duration {
            let sorted = latencies.sorted()
            return sorted.isEmpty ? .zero : sorted[min(sorted.count - 1, sorted.count * percent / 100)]
        }
    }

    static let tasks = 400
    /// How long a task thinks between two calls.
    private static let pause = Duration.milliseconds(20)

    private let names: [String]
    private let journal: LoadJournal
    /// For each city, the number of queries when its latest invalidation began: once that has returned, a value of an
    /// earlier query must not be seen.
    private let oldest = Mutex<[String: Int]>([:])

    init(names: [String], journal: LoadJournal) {
        self.names = names
        self.journal = journal
    }

    /// Asks for a time, and after a third of it does what the phase is about.
    func run(
        _ cache: any CityCache,
        for duration: Duration,
        progress: @escaping @Sendable (Int) -> Void,
        event: @escaping @Sendable () async throws -> Void
    ) async throws -> Result {
        oldest.withLock { $0 = [:] }
        let end = ContinuousClock.now + duration
        return try await withThrowingTaskGroup(of: Result.self) { group in
            for task in 0..<Self.tasks {
                group.addTask { try await self.ask(cache, task: task, until: end, progress) }
            }
            group.addTask {
                try await Task.sleep(for: duration / 3)
                try await event()
                return Result()
            }
            return try await group.reduce(into: Result()) { total, part in
                total.latencies += part.latencies
                total.errors += part.errors
                total.wrong += part.wrong
                total.outdated += part.outdated
            }
        }
    }

    /// Invalidates, and has every later answer checked against it.
    func invalidate(_ cities: [String], _ operation: () async throws -> Void) async throws {
        let queries = journal.queries
        try await operation()
        oldest.withLock { oldest in
            for city in cities { oldest[city] = queries }
        }
    }

    private func ask(
        _ cache: any CityCache,
        task: Int,
        until end: ContinuousClock.Instant,
        _ progress: @Sendable (Int) -> Void
    ) async throws -> Result {
        var result = Result()
        var random = SystemRandomNumberGenerator()
        while ContinuousClock.now < end {
            // Some cities are asked for far more often than others.
            let draw = Double.random(in: 0..<1, using: &random)
            let name = names[Int(draw * draw * draw * Double(names.count))]
            let oldest = oldest.withLock { $0[name, default: 0] }
            let began = ContinuousClock.now
            do {
                let city = try await cache.city(name)
                if city?.name != name { result.wrong += 1 }
                if let city, city.query <= oldest { result.outdated += 1 }
            } catch {
                result.errors += 1
            }
            result.latencies.append(ContinuousClock.now - began)
            if task == 0 { progress(result.latencies.count) }
            try await Task.sleep(for: Self.pause)
        }
        return result
    }
}
