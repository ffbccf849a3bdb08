import MintCache
import Synchronization

/// A store that counts its operations, each of which is a round trip.
final class CountingStore: CacheStore {
    private let base: any CacheStore
    private let count = Atomic(0)

    init(_ base: any CacheStore) { self.base = base }

    var roundTrips: Int { count.load(ordering: .relaxed) }

    func get(_ key: StoreKey) async throws -> StoreItem? {
        count.add(1, ordering: .relaxed)
        return try await base.get(key)
    }

    func get(_ keys: [StoreKey]) async throws -> [StoreItem?] {
        count.add(1, ordering: .relaxed)
        return try await base.get(keys)
    }

    func set(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws {
        count.add(1, ordering: .relaxed)
        try await base.set(key, value: value, expiry: expiry)
    }

    func add(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws -> StoreWrite {
        count.add(1, ordering: .relaxed)
        return try await base.add(key, value: value, expiry: expiry)
    }

    func compareAndSwap(
        _ key: StoreKey, expecting cas: StoreItem.CAS, value: [UInt8], expiry: Duration?
    ) async throws -> StoreWrite {
        count.add(1, ordering: .relaxed)
        return try await base.compareAndSwap(key, expecting: cas, value: value, expiry: expiry)
    }

    func writeUnique(
        _ key: StoreKey, value: [UInt8], over cas: StoreItem.CAS?, expiry: Duration?
    ) async throws -> StoreWrite {
        count.add(1, ordering: .relaxed)
        return try await base.writeUnique(key, value: value, over: cas, expiry: expiry)
    }

    func delete(_ key: StoreKey) async throws -> Bool {
        count.add(1, ordering: .relaxed)
        return try await base.delete(key)
    }
}
