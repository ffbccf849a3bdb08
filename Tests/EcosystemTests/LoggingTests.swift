import CacheUtils
import InMemoryLogging
import Logging
import TestSupport
import Testing

/// What a cache logs by swift-log, and where.
@Suite("The log of a cache", .timeLimit(.minutes(5)))
struct LoggingTests {
    private struct Broken: Error, Equatable {}

    private let clock = ManualClock()
    private let store: ScriptedStore
    private let handler: InMemoryLogHandler

    init() {
        store = ScriptedStore(InMemoryStore(clock: clock))
        var handler = InMemoryLogHandler()
        handler.logLevel = .debug
        self.handler = handler
    }

    private func cache(_ logger: Logger? = nil) -> Cache {
        Cache(store: store, namespace: "shop", clock: clock, logger: logger)
    }

    @Test("goes to the logger of the task in which something happens, with its metadata")
    func currentLogger() async throws {
        let cache = cache()
        let city = cache.cached("city", ttl: .seconds(60)) { (_: String) async throws -> String in throw Broken() }
        store.next(.get, .failBefore)
        await withLogger(handler: handler, metadata: ["request.id": "7"]) { _ in
            _ = try? await city("paris")
            await cache.drain()
        }
        let entries = handler.entries
        #expect(entries.map(\.message) == ["the cache store failed; going on without it", "a loader failed"])
        #expect(entries.allSatisfy { $0.level == .debug && $0.metadata["request.id"] == "7" })
        #expect(entries.allSatisfy { $0.metadata["cache.function"] == "city" })
        #expect(entries.last?.error as? Broken == Broken())
    }

    @Test("goes to the logger that the cache was given, wherever it happens")
    func givenLogger() async throws {
        let cache = cache(Logger(label: "shop") { _ in handler })
        _ = try? await cache.cached("city", ttl: .seconds(60)) { () async throws -> Int in throw Broken() }()
        #expect(handler.entries.map(\.message) == ["a loader failed"])
    }

    @Test("has keys at trace level only, and marks them")
    func keys() async throws {
        for level in [Logger.Level.debug, .trace] {
            var handler = InMemoryLogHandler()
            handler.logLevel = level
            let cache = cache(Logger(label: "shop") { _ in handler })
            let city = cache.cached("city", ttl: .seconds(60)) { (_: String) async throws -> Int in throw Broken() }
            _ = try? await city("rue de la Paix")
            let metadata = try #require(handler.entries.last).metadata
            let isTrace = level == .trace
            #expect("\(metadata)".contains("Paix") == isTrace)
            #expect((metadata["cache.key"]?.attributes[CacheLogSensitivity.self] == .sensitive) == isTrace)
        }
    }

    @Test("of a background refresh goes where that of the call went that began it")
    func background() async throws {
        let loads = Counter()
        let cache = cache()
        let city = cache.cached("city", ttl: .seconds(60), staleFor: .seconds(60)) { () async throws -> Int in
            if loads.increment() > 1 { throw Broken() }
            return 1
        }
        _ = try await city()
        await cache.drain()
        clock.advance(by: .seconds(70))
        try await withLogger(handler: handler, metadata: ["request.id": "8"]) { _ in _ = try await city() }
        await cache.drain()
        #expect(handler.entries.map(\.message) == ["a loader failed"])
        #expect(handler.entries.first?.metadata["request.id"] == "8")
    }

    @Test("says nothing above info of what nobody is thrown")
    func levels() async throws {
        let cache = Cache(
            store: store, namespace: "shop", clock: clock, logger: Logger(label: "shop") { _ in handler },
            repeatsInvalidationsFor: .zero)
        _ = cache.cached("twice", ttl: .seconds(60)) { 1 }
        _ = cache.cached("twice", ttl: .seconds(60)) { "1" }
        #expect(handler.entries.map(\.message) == ["two cached functions have one name"])
        #expect(handler.entries.allSatisfy { $0.level == .info && $0.error != nil })
    }
}
