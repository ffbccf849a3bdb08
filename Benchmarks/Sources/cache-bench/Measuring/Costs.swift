import CacheUtils
import CallCounter
import Foundation
import Memcached

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What is counted and not timed, and what does not grow.
struct Costs: Encodable, Sendable {
    /// The time of a group invalidation, in microseconds.
    struct GroupInvalidation: Encodable, Sendable {
        /// Of a group of 10 values.
        var small: Double
        /// Of a group of so many.
        var largeSize: Int
        var large: Double
    }

    /// Allocations for each in-memory hit.
    var allocationsPerHit = 0.0
    /// Heap for each task that waits for an answer of the server, its own stack included.
    var bytesPerWaitingTask = 0
    /// Heap for each value of 100 bytes in an `InMemoryStore`, its key and envelope included.
    var bytesPerCachedItem = 0
    /// Resident memory of full `InMemoryStore`s as a share of their capacity, by the size of their values.
    var residentShares: [Int: Double] = [:]
    /// Heap of a cache's decoded values as a share of their capacity, by the size of their payloads.
    var decodedShares: [Int: Double] = [:]
    var groupInvalidation: GroupInvalidation?

    /// Ten thousand misses a second, as on two cores.
    static func estimatedSeconds(group: Int) -> Double { 5 + Double(group) / 10_000 }

    static func measure(server: String, group: Int, progress: Progress) async throws -> Costs {
        progress.show("allocations and memory")
        var costs = Costs()
        if call_counter_works() {
            // First, as long as nothing lies about that the store could use.
            for size in [10_000, 1000, 100, 10] { costs.residentShares[size] = try await residentShare(of: size) }
            costs.allocationsPerHit = try await allocationsPerHit()
            costs.bytesPerCachedItem = try await bytesPerCachedItem()
            for tags in [0, 3, 20] {
                let (size, share) = try await decodedShare(tags: tags)
                costs.decodedShares[size] = share
            }
            costs.bytesPerWaitingTask = try await bytesPerWaitingTask()
        }
        if group > 0 {
            progress.show("filling a group of \(group)")
            costs.groupInvalidation = try await groupInvalidation(server: server, size: group)
        }
        return costs
    }

    /// Fails when a cost that is the same on every machine is too high.
    func check() throws {
        guard allocationsPerHit > 0 else { throw BenchFailure("allocations cannot be counted here") }
        guard allocationsPerHit <= 4 else {
            throw BenchFailure("an in-memory hit allocates \(allocationsPerHit) times: it should be at most 4")
        }
        for (size, share) in residentShares where abs(share - 1) > 0.1 {
            throw BenchFailure(
                "a full store of values of \(size) bytes takes \(share) of its capacity: it should be 0.9 to 1.1")
        }
        for (size, share) in decodedShares where abs(share - 1) > 0.25 {
            throw BenchFailure(
                "decoded values of payloads of \(size) bytes take \(share) of what they may: it should be 0.75 to 1.25")
        }
    }

    private struct City: Codable, Sendable {
        var name: String
        var population: Int
        var position: [Double]
        var mayor: String?
        var tags: [String]

        init(_ number: Int, tags: Int) {
            name = "city \(number)"
            population = number
            position = [Double(number % 90), Double(number % 180)]
            mayor = number.isMultiple(of: 2) ? nil : "A name that takes memory of its own"
            self.tags = (0..<tags).map { "tag \($0) of city number \(number)" }
        }
    }

    /// The size of a payload, and the heap of decoded values twice as many as have room.
    private static func decodedShare(tags: Int) async throws -> (size: Int, share: Double) {
        let capacity = 16 << 20
        let size = try JSONEncoder().encode(City(1, tags: tags)).count
        let store = InMemoryStore(capacity: 1 << 30)
        let cache = Cache(store: store, namespace: "costs", decodedCapacity: capacity)
        let city = cache.cached("city", ttl: .seconds(600)) { City($0, tags: tags) }
        let count = capacity * 2 / (size / 2 + 200)
        for number in 0..<count { _ = try await city(number) }
        await cache.drain()
        let before = call_counter_heap_in_use()
        for number in 0..<count { _ = try await city(number) }
        return (size, Double(call_counter_heap_in_use() - before) / Double(capacity))
    }

    private static func cachedText(in store: InMemoryStore) -> CachedFunction<Int, String> {
        let text = String(repeating: "x", count: 100)
        return Cache(store: store, namespace: "costs").cached("text", ttl: .seconds(600)) { (_: Int) in text }
    }

    private static func allocationsPerHit() async throws -> Double {
        let cached = cachedText(in: InMemoryStore())
        let hits = 1000
        for number in 0..<hits { _ = try await cached(number) }
        // Whatever the loads left to do in the background ends first.
        try await Task.sleep(for: .milliseconds(50))
        call_counter_start()
        for number in 0..<hits { _ = try await cached(number) }
        return Double(call_counter_stop().allocations) / Double(hits)
    }

    private static func bytesPerCachedItem() async throws -> Int {
        let items = 100_000
        let store = InMemoryStore()
        let cached = cachedText(in: store)
        let before = call_counter_heap_in_use()
        for number in 0..<items { _ = try await cached(number) }
        try await Task.sleep(for: .milliseconds(50))
        return (call_counter_heap_in_use() - before) / items
    }

    /// Of a store that was filled three times over with values of about a size.
    private static func residentShare(of size: Int) async throws -> Double {
        let capacity = 64 * 1024 * 1024
        let before = call_counter_resident()
        let store = InMemoryStore(capacity: capacity)
        for number in 0..<capacity * 3 / (size + 150) {
            let value = [UInt8](repeating: 1, count: size / 2 + number % size)
            try await store.set(StoreKey("costs:1:text(\(number))"), value: value, expiry: nil)
        }
        let taken = call_counter_resident() - before
        return Double(taken) / Double(capacity) * (store.byteCount > 0 ? 1 : 0)
    }

    /// The server is one that takes connections and says nothing.
    private static func bytesPerWaitingTask() async throws -> Int {
        let waiting = 10_000
        let listener = try SilentListener()
        let store = try MemcachedStore(
            servers: ["127.0.0.1:\(listener.port)"], configuration: .init(operationTimeout: .seconds(60)))
        let key = try StoreKey("key")
        let before = call_counter_heap_in_use()
        let tasks = (0..<waiting).map { _ in Task { try await store.get(key) } }
        try await Task.sleep(for: .milliseconds(500))
        let bytes = (call_counter_heap_in_use() - before) / waiting
        for task in tasks { task.cancel() }
        for task in tasks { _ = await task.result }
        return bytes
    }

    private static func groupInvalidation(server: String, size: Int) async throws -> GroupInvalidation {
        let store = try MemcachedStore(servers: [server])
        let cache = Cache(store: store, namespace: "costs")
        for (group, count) in [("small", 10), ("large", size)] {
            let function = cache.cached(group, ttl: .seconds(3600), groups: [group]) { (number: Int) in number }
            try await warmUp(function, count)
        }
        var times: [String: [Double]] = [:]
        for _ in 0..<200 {
            for group in ["small", "large"] {
                let began = Meter.now()
                try await cache.invalidate(group: group)
                times[group, default: []].append(Double(Meter.now() - began) / 1000)
            }
        }
        await store.shutdown()
        return GroupInvalidation(
            small: median(times["small"] ?? []), largeSize: size, large: median(times["large"] ?? []))
    }
}

/// A port that takes connections, on the loopback only, and never answers.
private final class SilentListener {
    let port: Int
    private let socket: Int32

    init() throws {
        #if canImport(Glibc)
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
        socket = Foundation.socket(AF_INET, SOCK_STREAM, 0)
        #endif
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let socket = socket
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) == 0 && listen(socket, 16) == 0 && getsockname(socket, $0, &length) == 0
            }
        }
        guard bound else { throw BenchFailure("no port to listen on") }
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(socket) }
}
