import CacheUtils
import TestSupport
import Testing
#if ServiceLifecycle
import InMemoryLogging
import Logging
import ServiceLifecycle
import ServiceLifecycleTestKit
#endif

/// A cache that begins and ends with its process.
@Suite("A cache as a service", .timeLimit(.minutes(5)))
struct ServiceTests {
    private let clock = ManualClock()
    private let store: ScriptedStore
    private let cache: Cache

    init() {
        store = ScriptedStore(InMemoryStore(clock: clock))
        cache = Cache(store: store, namespace: "shop", clock: clock)
    }

    @Test("is drained after a script, whatever came of that")
    func scoped() async throws {
        struct Broken: Error {}
        for fails in [false, true] {
            let gate = Gate()
            store.next(.add, .pauseBefore(gate))
            let fill = Task {
                try await gate.arrival()
                gate.open()
            }
            do {
                try await withCache(cache) { cache in
                    #expect(try await cache.value(forKey: "\(fails)") { 1 } == 1)
                    if fails { throw Broken() }
                }
                #expect(!fails)
            } catch is Broken { #expect(fails) }
            try await fill.value
            // What was loaded is stored.
            #expect(try await cache.value(forKey: "\(fails)") { 2 } == 1)
        }
    }

    #if ServiceLifecycle
    @Test("drains on graceful shutdown, and works before that and after")
    func gracefulShutdown() async throws {
        let gate = Gate()
        let city = cache.cached("city", ttl: .seconds(60)) { (slug: String) in
            if slug == "slow" { try await gate.pass() }
            return slug
        }
        #expect(try await city("before") == "before")
        try await testGracefulShutdown { trigger in
            let run = Task { [cache] in try await cache.run() }
            let slow = Task { try await city("slow") }
            try await gate.arrival()
            // It fails once, and is pending.
            store.next(.delete, .failBefore)
            await #expect(throws: (any Error).self) { try await city.invalidate("before") }
            trigger.triggerGracefulShutdown()
            gate.open()
            try await run.value
            #expect(try await slow.value == "slow")
        }
        #expect(cache.pendingInvalidations.isEmpty)
        #expect(try await city.peek("slow") == "slow")
        #expect(try await city.peek("before") == nil)
        #expect(try await city("after") == "after")
    }

    @Test("is run once, and ends when it is cancelled")
    func once() async throws {
        let run = Task { [cache] in try await cache.run() }
        run.cancel()
        try await run.value
        let error = await #expect(throws: CacheError.self) { try await cache.run() }
        #expect(error?.code == .invalidConfiguration)
    }

    @Test("says what was left")
    func left() async throws {
        let handler = InMemoryLogHandler()
        let cache = Cache(
            store: store, namespace: "shop", clock: clock, logger: Logger(label: "shop") { _ in handler })
        let city = cache.cached("city", ttl: .seconds(60)) { 1 }
        for _ in 0..<50 { store.next(.delete, .failBefore) }
        await #expect(throws: (any Error).self) { try await city.invalidate() }
        let run = Task { try await cache.run() }
        run.cancel()
        try await run.value
        let entry = try #require(handler.entries.last)
        #expect(entry.message == "a cache has shut down before all was done")
        #expect(entry.level == .info)
        #expect(entry.metadata["cache.invalidations.pending"] == "1")
    }

    @Test("is one in a service group")
    func group() async throws {
        let group = ServiceGroup(services: [cache], logger: Logger(label: "test") { _ in InMemoryLogHandler() })
        let run = Task { try await group.run() }
        await group.triggerGracefulShutdown()
        try await run.value
    }
    #endif
}
