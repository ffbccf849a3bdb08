import CacheUtils
import Foundation
import TestSupport
import Testing

@Suite("A cache that is disabled")
struct DisabledTests {
    private let store = ScriptedStore(InMemoryStore())
    private let statistics = CacheStatistics()
    private let loads = Counter()

    private func number(in cache: Cache) -> CachedFunction<Int, Int> {
        cache.cached("number", ttl: .seconds(60), groups: ["numbers"]) { [loads] (_: Int) in
            loads.increment()
        } loadMany: { [loads] numbers in
            numbers.map { _ in loads.increment() }
        }
    }

    @Test("has every call answered by its loader, and asks the store for nothing")
    func calls() async throws {
        let cache = Cache(store: store, namespace: "off", observer: statistics, isDisabled: true)
        let number = number(in: cache)
        for call in 1...3 { #expect(try await number(7) == call) }
        #expect(try await number.many([7, 8]) == [4, 5])
        #expect(try await number.peek(7) == nil)
        #expect(try await cache.value(forKey: "other", ttl: .seconds(60)) { 9 } == 9)
        #expect(store.roundTrips == 0)
        #expect(statistics.snapshot.reasons[.disabled] == 6 && statistics.snapshot.storeTroubles == 0)
    }

    @Test("invalidates for those that are not")
    func invalidations() async throws {
        let other = number(in: Cache(store: store, namespace: "off"))
        let cache = Cache(store: store, namespace: "off", isDisabled: true)
        let number = number(in: cache)
        #expect(try await other(7) == 1)
        try await number.invalidate(7)
        #expect(try await other(7) == 2)
        try await cache.invalidate(group: "numbers")
        #expect(try await other(7) == 3)
        // What a refresh has loaded is newer than what is cached.
        #expect(try await number.refresh(7) == 4)
        #expect(try await other(7) == 5)
    }

    @Test("needs no store")
    func noStore() async throws {
        let number = number(in: .disabled)
        for call in 1...2 { #expect(try await number(7) == call) }
        try await number.invalidate(7)
        try await Cache.disabled.invalidate(group: "numbers")
    }

    @Test("is what an environment variable makes of all of a process", arguments: ["1", "True", "0", ""])
    func environment(value: String) async {
        await #expect(processExitsWith: .success) { [value] in
            setenv("SWIFT_CACHE_DISABLED", value, 1)
            #expect(Cache.isDisabledByEnvironment == (value == "1" || value == "True"))
        }
    }
}
