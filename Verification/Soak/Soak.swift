import CacheUtils
import Foundation
import Memcached
import MemcachedProcess
import Synchronization

/// A cache on three servers under constant load, the servers killed, stopped and taken from the list in turn.
final class Soak: Sendable {
    private static let tasks = 200
    private static let pause = Duration.milliseconds(100)
    private static let rows = 20_000

    private let seconds: Double
    private let servers: [MemcachedProcess]
    private let store: MemcachedStore
    private let cache: Cache
    private let statistics = CacheStatistics()
    private let calls = Atomic(0)
    private let failures = Atomic(0)
    private let callsUnderWay = Atomic(0)
    private let loadsUnderWay: LoadCount
    private let row: CachedFunction<Int, Row>
    private let text: CachedFunction<Int, String>

    struct Row: Codable, Sendable {
        var number: Int
        var name: String
    }

    final class LoadCount: Sendable {
        let count = Atomic(0)
    }

    init(seconds: Double) throws {
        self.seconds = seconds
        // Less than all rows take, so that they evict.
        servers = try (0..<3).map { _ in try MemcachedProcess(.tcp, options: ["-m", "4"]) }
        store = try MemcachedStore(
            current: ServerList(servers.map(\.address), number: 1),
            configuration: .init(operationTimeout: .milliseconds(500)))
        cache = Cache(
            store: store, namespace: "soak",
            policy: CachePolicy(
                leaseFor: .seconds(5), loadTimeout: .init(hard: .seconds(5)), maximumLoads: 64,
                whenAway: .serveHeld(for: .seconds(5))),
            observer: statistics, troubleLevel: nil)
        let loads = LoadCount()
        loadsUnderWay = loads
        @Sendable func loaded<Value>(_ value: Value) async throws -> Value {
            loads.count.add(1, ordering: .relaxed)
            defer { loads.count.subtract(1, ordering: .relaxed) }
            try await Task.sleep(for: .milliseconds(2))
            return value
        }
        row = cache.cached("row", ttl: .seconds(20), groups: ["rows", "all"]) { (number: Int) in
            try await loaded(Row(number: number, name: String(repeating: "r", count: 200)))
        }
        text = cache.cached("text", ttl: .seconds(5)) { (number: Int) in
            try await loaded(String(repeating: "t", count: 50 + number % 2000))
        }
    }

    func run() async throws -> Report {
        let end = ContinuousClock.now + .seconds(seconds)
        var report = Report(seconds: seconds, statistics)
        async let faults: Void = makeFaults(until: end)
        async let load: Void = call(until: end)
        let began = ContinuousClock.now
        while ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(min(1000, Int(seconds * 10))))
            guard let now = Resources.now else { continue }
            report.samples.append(
                Report.Sample(
                    time: (ContinuousClock.now - began) / .seconds(1), resources: now,
                    underWay: callsUnderWay.load(ordering: .relaxed) + loadsUnderWay.count.load(ordering: .relaxed)
                        + store.waiting + cache.pendingInvalidations.count))
        }
        _ = try await (faults, load)
        (report.calls, report.failures) = (calls.load(ordering: .relaxed), failures.load(ordering: .relaxed))
        await cache.drain()
        await store.shutdown()
        for server in servers { server.stop() }
        return report
    }

    /// So many tasks call one function after the other, with pauses, so that the load is the same whatever happens.
    private func call(until end: ContinuousClock.Instant) async {
        await withTaskGroup { group in
            for _ in 0..<Self.tasks {
                group.addTask { [self] in
                    while ContinuousClock.now < end {
                        // Some rows are asked for much more often than others.
                        let number = Int(pow(Double.random(in: 0..<1), 3) * Double(Self.rows))
                        callsUnderWay.add(1, ordering: .relaxed)
                        do {
                            if number.isMultiple(of: 2) {
                                _ = try await row(number)
                            } else {
                                _ = try await text(number)
                            }
                        } catch {
                            failures.add(1, ordering: .relaxed)
                        }
                        callsUnderWay.subtract(1, ordering: .relaxed)
                        calls.add(1, ordering: .relaxed)
                        try? await Task.sleep(for: Self.pause)
                    }
                }
            }
        }
    }

    /// One thing after the other goes wrong, each server in turn, and then all goes well for a while.
    private func makeFaults(until end: ContinuousClock.Instant) async throws {
        let step = Duration.seconds(min(3, seconds / 40))
        var list: UInt32 = 1
        var turn = 0
        while ContinuousClock.now < end - step * 8 {
            let server = servers[turn % servers.count]
            switch turn / servers.count % 3 {
            case 0:
                server.stop()
                try await invalidate(during: step)
                try server.start()
            case 1:
                server.suspend()
                try await invalidate(during: step)
                server.resume()
            default:
                try await change(without: server, list, during: step)
                list += 2
            }
            try await invalidate(during: step)
            turn += 1
        }
    }

    private func invalidate(during time: Duration) async throws {
        let end = ContinuousClock.now + time
        try? await cache.invalidate(group: "rows")
        while ContinuousClock.now < end {
            try? await text.invalidate(Int.random(in: 0..<Self.rows))
            try await Task.sleep(for: time / 5)
        }
    }

    /// Takes a server from the list, in three steps, and brings it back in three more.
    private func change(without server: MemcachedProcess, _ number: UInt32, during time: Duration) async throws {
        let all = servers.map(\.address)
        let lists = try [
            ServerList(all, number: number), ServerList(all.filter { $0 != server.address }, number: number + 1),
            ServerList(all, number: number + 2),
        ]
        for (old, new) in zip(lists, lists.dropFirst()) {
            try await store.update(servers: old, next: new)
            try await store.update(servers: new, previous: old)
            try await store.update(servers: new)
            try await invalidate(during: time)
        }
    }
}
