import CacheUtils
import TestSupport
import Testing

/// What each operation costs in round trips to the store, which is what most of its time goes into.
@Suite("Round trips")
struct RoundTripTests {
    private let store: ScriptedStore
    private let cache: Cache

    init() {
        let clock = ManualClock()
        store = ScriptedStore(InMemoryStore(clock: clock))
        cache = Cache(store: store, namespace: "cost", clock: clock)
    }

    private func square(groups: [String]) -> CachedFunction<Int, Int> {
        cache.cached("square", ttl: .seconds(60), groups: groups) { $0 * $0 }
    }

    private func roundTrips(_ body: () async throws -> Void) async rethrows -> Int {
        await cache.drain()
        store.resetCounts()
        try await body()
        await cache.drain()
        return store.roundTrips
    }

    @Test("one for a hit, however many groups it has", arguments: [[], ["a"], ["a", "b", "c"]])
    func hit(groups: [String]) async throws {
        let square = square(groups: groups)
        _ = try await square(3)
        #expect(try await roundTrips { _ = try await square(3) } == 1)
    }

    @Test("four for a cold miss: read, take the lease, see that it is still there, fill", arguments: [[], ["a"]])
    func coldMiss(groups: [String]) async throws {
        let square = square(groups: groups)
        _ = try await square(3)
        #expect(try await roundTrips { _ = try await square(4) } == 4)
    }

    @Test("two more for the first miss of a new group: give it a stamp, read again")
    func firstMissOfGroup() async throws {
        #expect(try await roundTrips { _ = try await square(groups: ["a"])(3) } == 6)
    }

    @Test("one for an exact invalidation")
    func exactInvalidation() async throws {
        let square = square(groups: ["a"])
        _ = try await square(3)
        #expect(try await roundTrips { try await square.invalidate(3) } == 1)
    }

    @Test("one for a group invalidation, of ten values as of ten thousand", arguments: [10, 10_000])
    func groupInvalidation(size: Int) async throws {
        let square = square(groups: ["a"])
        for number in 0..<size { _ = try await square(number) }
        #expect(try await roundTrips { try await cache.invalidate(group: "a") } == 1)
    }
}
