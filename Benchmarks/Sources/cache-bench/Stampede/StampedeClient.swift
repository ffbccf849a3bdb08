import ArgumentParser
import CacheUtils
import Foundation
import Memcached
import Synchronization

/// One of the processes of a stampede. It prints what it did as JSON.
struct StampedeClient: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stampede-client", abstract: "One of the processes of the stampede.", shouldDisplay: false)

    @Option var server: String
    @Option var mode: StampedeMode
    @Option var key: String
    @Option var begin: Int
    @Option var end: Int
    @Option var fresh: Int
    @Option var load: Int

    func run() async throws {
        let store = try MemcachedStore(servers: [server])
        let statistics = CacheStatistics()
        let loads = Mutex<[[Int]]>([])
        let loadMilliseconds = load
        let loader: @Sendable @concurrent () async throws -> String = {
            let began = now()
            try await Task.sleep(for: .milliseconds(loadMilliseconds))
            loads.withLock { $0.append([began, now()]) }
            return "value"
        }
        let call = try makeCall(store, statistics, loader)
        try await Task.sleep(for: .microseconds(max(0, begin - now())))
        var record = try await withThrowingTaskGroup(of: [Int: [Int: Int]].self) { group in
            for task in 0..<StampedePlan.tasks {
                group.addTask { try await callUntilEnd(task, call) }
            }
            return try await group.reduce(into: StampedeRecord()) { record, latencies in
                for (bucket, counts) in latencies {
                    record.latencies[bucket, default: [:]].merge(counts, uniquingKeysWith: +)
                }
            }
        }
        record.loads = loads.withLock(\.self)
        record.staleAnswers = statistics.snapshot.stale
        FileHandle.standardOutput.write(try JSONEncoder().encode(record))
        await store.shutdown()
    }

    /// A request every twenty milliseconds, as a server gets them, and not as many as the machine can bear.
    private func callUntilEnd(
        _ task: Int, _ call: @Sendable () async throws -> Void
    ) async throws -> [Int: [Int: Int]] {
        var latencies: [Int: [Int: Int]] = [:]
        try await Task.sleep(for: .microseconds(task * 20_000 / StampedePlan.tasks))
        while true {
            let began = now()
            guard began < end else { return latencies }
            let start = Meter.now()
            try await call()
            let microseconds = Int((Meter.now() - start) / 1000)
            latencies[began / StampedeRecord.bucketMicroseconds, default: [:]][microseconds, default: 0] += 1
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private func makeCall(
        _ store: MemcachedStore, _ statistics: CacheStatistics,
        _ load: @escaping @Sendable @concurrent () async throws -> String
    ) throws -> @Sendable () async throws -> Void {
        switch mode {
        case .protected:
            let function = Cache(store: store, namespace: "stampede", observer: statistics)
                .cached("hot", ttl: .milliseconds(fresh)) { (_: String) in try await load() }
            return { [key] in _ = try await function(key) }
        case .unprotected:
            let storeKey = try StoreKey("stampede:\(key)")
            return { [fresh] in
                // The time until which it is fresh, in microseconds, stands for a value with its expiry.
                if let item = try await store.get(storeKey),
                    let until = Int(String(decoding: item.value, as: UTF8.self)),
                    now() < until
                {
                    return
                }
                _ = try await load()
                try await store.set(storeKey, value: Array("\(now() + fresh * 1000)".utf8), expiry: .seconds(60))
            }
        }
    }
}

/// Microseconds since 1970, which all processes of the machine agree on.
private func now() -> Int { Int(SystemClock().now.microseconds) }
