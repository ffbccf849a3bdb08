import CacheUtils
import Logging
import TestSupport
import Testing

private struct Unencodable: Codable, Sendable, Equatable {
    struct Failure: Error {
        var secret: String
    }

    var secret: String

    func encode(to encoder: any Encoder) throws { throw Failure(secret: secret) }
}

/// A codec that fails where a test says.
private struct FailingCodec: CacheCodec {
    struct Failure: Error {}

    let format = "failing"
    var encodes: Bool

    func encode(_ value: Int) throws -> [UInt8] {
        if encodes { return [UInt8(value)] }
        throw Failure()
    }

    func decode(_ bytes: ArraySlice<UInt8>) throws -> Int { throw Failure() }
}

@Suite("Bad input")
struct BadInputTests {
    private let store = InMemoryStore(clock: ManualClock())

    private func makeCache(namespace: String = "shop", observer: (any CacheObserver)? = nil) -> Cache {
        Cache(
            store: store, namespace: namespace, version: "7", clock: ManualClock(), observer: observer,
            trapsBadOptions: false)
    }

    /// Checks that every use of a function and of a cache is the same clear error, before anything is loaded.
    private func expect(
        _ code: CacheError.Code, _ advice: String, _ use: () async throws -> Void,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        let error = await #expect(throws: CacheError.self, sourceLocation: sourceLocation) { try await use() }
        #expect(error?.code == code, sourceLocation: sourceLocation)
        #expect(error?.message.contains(advice) == true, "\(error?.message ?? "")", sourceLocation: sourceLocation)
    }

    @Test("an empty name is an error of every call")
    func emptyNames() async {
        let cache = makeCache()
        let loads = Counter()
        let unnamed = cache.cached("", ttl: .seconds(1)) { loads.increment() }
        await expect(.invalidKey, "the name of a cached function is empty") { _ = try await unnamed() }
        await expect(.invalidKey, "the name of a cached function is empty") { try await unnamed.invalidate() }
        await expect(.invalidKey, "the name of a cached function is empty") { _ = try await unnamed.peek() }
        await expect(.invalidKey, "the name of a cached function is empty") { try await unnamed.refresh() }
        await expect(.invalidKey, "a cache key is empty") {
            _ = try await cache.value(forKey: "", ttl: .seconds(1)) { loads.increment() }
        }
        await expect(.invalidKey, "a cache key is empty") { try await cache.invalidate(key: "") }
        await expect(.invalidKey, "a group is empty") { try await cache.invalidate(group: "") }
        let grouped = cache.cached("f", ttl: .seconds(1), groups: ["a", ""]) { loads.increment() }
        await expect(.invalidKey, "a group is empty") { _ = try await grouped() }
        await expect(.invalidKey, "the namespace of a cache is empty") {
            _ = try await makeCache(namespace: "").value(forKey: "k", ttl: .seconds(1)) { loads.increment() }
        }
        #expect(loads.value == 0)
    }

    @Test(
        "a namespace that leaves no room in a key is an error that says how much there is", arguments: [128, 240, 5000])
    func longNamespace(letters: Int) async throws {
        let cache = makeCache(namespace: String(repeating: "ж", count: letters))
        await expect(.invalidKey, "shorten them to 128 bytes") {
            _ = try await cache.value(forKey: "k", ttl: .seconds(1)) { 1 }
        }
        await expect(.invalidKey, "shorten them to 128 bytes") { try await cache.invalidate(group: "g") }
        let fitting = makeCache(namespace: String(repeating: "n", count: 125))
        let long = String(repeating: "k", count: 300)
        #expect(try await fitting.value(forKey: long, ttl: .seconds(1)) { 1 } == 1)
        #expect(try await fitting.value(forKey: long, ttl: .seconds(1)) { 2 } == 1)
    }

    @Test(
        "a duration that is not positive is an error that names it",
        arguments: [Duration.zero, .seconds(-1), .nanoseconds(-1)])
    func durations(duration: Duration) async {
        let cache = makeCache()
        let loads = Counter()
        let ttl = cache.cached("f", ttl: duration) { loads.increment() }
        let lease = cache.cached("f", ttl: .seconds(1), leaseFor: duration) { loads.increment() }
        let none = cache.cached("f", ttl: .seconds(1), nilFor: duration) { Optional(loads.increment()) }
        await expect(.invalidDuration, "a ttl of") { _ = try await ttl() }
        await expect(.invalidDuration, "a leaseFor of") { _ = try await lease() }
        await expect(.invalidDuration, "a nilFor of") { _ = try await none() }
        await expect(.invalidDuration, "a ttl of") {
            _ = try await cache.value(forKey: "k", ttl: duration) { loads.increment() }
        }
        #expect(loads.value == 0)
    }

    @Test("a negative staleFor is an error, and zero is none")
    func staleFor() async throws {
        let cache = makeCache()
        let negative = cache.cached("f", ttl: .seconds(1), staleFor: .seconds(-1)) { 1 }
        await expect(.invalidDuration, "a staleFor of") { _ = try await negative() }
        #expect(try await cache.cached("f", ttl: .seconds(1), staleFor: .zero) { 1 }() == 1)
    }

    @Test("durations beyond all bounds are taken", arguments: [Duration.seconds(31 * 86_400), .seconds(Int64.max)])
    func longDurations(duration: Duration) async throws {
        let cache = makeCache()
        let value = cache.cached("f", ttl: duration, staleFor: duration) { (number: Int) in number }
        #expect(try await value(1) == 1)
        #expect(try await value.peek(1) == 1)
    }

    @Test("a value that cannot be encoded is returned, not cached, and reported", arguments: [true, false])
    func unencodable(json: Bool) async throws {
        let statistics = CacheStatistics()
        let log = MemoryLog()
        let cache = Cache(
            store: store, namespace: "shop", observer: statistics, logger: Logger(label: "test") { _ in log })
        if json {
            let value = cache.cached("f", ttl: .seconds(1)) { Unencodable(secret: "pin") }
            for _ in 1...2 {
                #expect(try await value() == Unencodable(secret: "pin"))
                await cache.drain()
            }
            #expect(try await value.peek() == nil)
        } else {
            let value = cache.cached("f", ttl: .seconds(1), codec: FailingCodec(encodes: false)) { 3 }
            for _ in 1...2 {
                #expect(try await value() == 3)
                await cache.drain()
            }
            #expect(try await value.peek() == nil)
        }
        #expect(statistics.snapshot.notCached == 2)
        #expect(statistics.snapshot.loads == 2)
        // Once a minute.
        #expect(log.lines(.info).count == 1)
        #expect(log.lines(.info).allSatisfy { $0.contains("encodingFailed") })
        log.logLevel = .info
        _ = try await cache.value(forKey: "k", ttl: .seconds(1)) { Unencodable(secret: "pin") }
        await cache.drain()
        #expect(log.lines(.info).count == 2)
        #expect(log.lines(.info).last?.contains("pin") == false, "a value was logged above trace")
    }

    @Test("a value that its codec cannot read back is a miss, and is replaced")
    func undecodable() async throws {
        let loads = Counter()
        let cache = makeCache()
        let value = cache.cached("f", ttl: .seconds(1), codec: FailingCodec(encodes: true)) { loads.increment() }
        for load in 1...2 {
            #expect(try await value() == load)
            await cache.drain()
        }
        #expect(try await value.peek() == nil)
    }

    @Test("more groups than an envelope holds are an error; the same group twice is one group")
    func groups() async throws {
        let cache = makeCache()
        let many = cache.cached("f", ttl: .seconds(1), groups: (0..<256).map { "\($0)" }) { 1 }
        await expect(.invalidKey, "at most 255") { _ = try await many() }
        let most = cache.cached("f", ttl: .seconds(9), groups: (0..<1000).map { "\($0 % 255)" }) { 1 }
        #expect(try await most() == 1)
        #expect(try await most.peek() == 1)
        try await cache.invalidate(group: "254")
        #expect(try await most.peek() == nil)
    }

    @Test("keys are never logged above trace, errors are")
    func logging() async throws {
        let log = MemoryLog()
        let scripted = ScriptedStore(store)
        let cache = Cache(
            store: scripted, namespace: "shop", clock: ManualClock(), logger: Logger(label: "test") { _ in log })
        log.logLevel = .debug
        scripted.setDown(true)
        #expect(try await cache.value(forKey: "secret", ttl: .seconds(1)) { 1 } == 1)
        #expect(log.lines(.debug).count == 1)
        #expect(log.lines(.debug).allSatisfy { !$0.contains("secret") && $0.contains("Failure") })
    }
}
