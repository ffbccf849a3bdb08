import CacheUtils
import Foundation
import Memcached
import MemcachedProcess
import TestSupport
import Testing

/// The client alone, on servers where everything goes wrong. `STRESS_SECONDS=60` for a minute.
@Suite("The client under stress", .timeLimit(.minutes(5)))
struct StressTests {
    private let seconds = Double(ProcessInfo.processInfo.environment["STRESS_SECONDS"] ?? "") ?? 4

    private struct Tally: Sendable {
        var calls = 0
        var failed = 0
        var cancelled = 0
        var found = 0
    }

    @Test(
        "answers each call once, with its own key's value, while servers stop, hang, die and come back",
        arguments: [true, false])
    func stress(resumesTasks: Bool) async throws {
        let servers = try (0..<3).map { _ in try MemcachedProcess() }
        defer { for server in servers { server.stop() } }
        var configuration = MemcachedStore.Configuration(operationTimeout: .milliseconds(200))
        configuration.resumesTasks = resumesTasks
        let store = try MemcachedStore(servers: servers.map(\.address), configuration: configuration)
        let end = ContinuousClock.now + .seconds(seconds)
        let (isOver, chaosEnded) = (Counter(), Counter())
        let chaos = Thread {
            Self.disturb(servers, until: isOver)
            chaosEnded.increment()
        }
        chaos.start()
        let tally = try await withThrowingTaskGroup(of: Tally.self) { group in
            for number in 0..<64 { group.addTask { try await Self.call(store, number, until: end) } }
            return try await group.reduce(into: Tally()) {
                $0.calls += $1.calls
                $0.failed += $1.failed
                $0.cancelled += $1.cancelled
                $0.found += $1.found
            }
        }
        isOver.increment()
        // Each call has come back, since each task has ended.
        #expect(tally.found > 0 && tally.cancelled > 0, "\(tally)")
        try await eventually { chaosEnded.value == 1 }
        for key in try (0..<100).map({ try StoreKey("after:\($0)") }) {
            try await eventually {
                do {
                    try await store.set(key, value: [1], expiry: nil)
                    return try await store.get(key)?.bytes == [1]
                } catch { return false }
            }
        }
        #expect(store.waiting == 0)
        await store.shutdown()
    }

    /// Reads and writes values that name their keys, until a time, and cancels some.
    private static func call(
        _ store: MemcachedStore, _ number: Int, until end: ContinuousClock.Instant
    ) async throws -> Tally {
        var tally = Tally()
        var random = SystemRandomNumberGenerator()
        // On a busy machine it takes longer.
        while ContinuousClock.now < end || tally.calls < 50 {
            let keys = try (0..<Int.random(in: 1...3, using: &random)).map { _ in
                try StoreKey("key:\(Int.random(in: 0..<500, using: &random))")
            }
            let (kind, isCancelled) = (
                Int.random(in: 0..<10, using: &random), Int.random(in: 0..<20, using: &random) == 0
            )
            let salt = UInt64.random(in: 0...UInt64.max, using: &random)
            let task = Task {
                switch kind {
                case 0: try await store.set(keys[0], value: Array(keys[0].description.utf8), expiry: nil)
                case 1: _ = try await store.delete(keys[0])
                case 2, 3:
                    let value = Array("\(keys[0]) \(salt)".utf8)
                    let write = try await store.writeUnique(keys[0], value: value, over: nil, expiry: nil)
                    if let cas = write.cas {
                        _ = try await store.writeUnique(keys[0], value: value + [0x20], over: cas, expiry: nil)
                    }
                default:
                    var found = 0
                    for (key, item) in zip(keys, try await store.get(keys)) {
                        guard let item else { continue }
                        let name = String(decoding: item.value, as: UTF8.self).split(separator: " ").first ?? ""
                        #expect(name == key.description)
                        found += 1
                    }
                    return found
                }
                return 0
            }
            if isCancelled { task.cancel() }
            tally.calls += 1
            do { tally.found += try await task.value } catch is CancellationError {
                tally.cancelled += 1
            } catch is CacheError {
                tally.failed += 1
                // A loader's time: what fails at once is asked again at once otherwise.
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        return tally
    }

    private static func disturb(_ servers: [MemcachedProcess], until isOver: Counter) {
        while isOver.value == 0 {
            usleep(UInt32.random(in: 50_000...300_000))
            let server = servers[Int.random(in: 0..<3)]
            let pause = UInt32.random(in: 10_000...600_000)
            if Bool.random() {
                server.suspend()
                usleep(pause)
                server.resume()
            } else {
                server.stop()
                usleep(pause)
                while (try? server.start()) == nil {}
            }
        }
    }
}
