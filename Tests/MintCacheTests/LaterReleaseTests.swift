import Testing

@testable import MintCache

/// What another version of this package has written, of which this one can read the lease at most.
@Suite("Of another release")
struct LaterReleaseTests {
    private let key: StoreKey
    private let store = InMemoryStore()
    private let cache: ReadThroughCache

    init() throws {
        key = try StoreKey("shop:key")
        cache = ReadThroughCache(store: store)
    }

    private func raised(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        bytes[1] += 1
        return bytes.withChecksum(for: key)
    }

    @Test("a value is removed when it is to be expired: there it would be fresh")
    func expiredValue() async throws {
        let lease = Lease(token: .random(), until: WallTime(microseconds: .max))
        try await store.set(
            key, value: raised(EnvelopeCoding.encode(.pending(lease, stamps: []), for: key)), expiry: nil)
        try await cache.expire([key], policy: CachePolicy())
        #expect(try await store.get(key) == nil)
    }

    @Test("or of no release that is known: removed, too")
    func expiredBytes() async throws {
        try await store.set(key, value: [1, 2, 3], expiry: nil)
        try await cache.expire([key], policy: CachePolicy())
        #expect(try await store.get(key) == nil)
    }

    @Test("a group that is to be expired is invalidated")
    func expiredGroup() async throws {
        let generation = Generation(stamp: .random(for: key, isPlanted: false))
        try await store.set(key, value: raised(EnvelopeCoding.encode(generation, for: key)), expiry: nil)
        try await cache.expire([], groups: [key], policy: CachePolicy())
        let item = try #require(try await store.get(key))
        let now = try #require(EnvelopeCoding.generation(in: item.value, for: key))
        #expect(now.stamp.hard != generation.stamp.hard)
    }
}
