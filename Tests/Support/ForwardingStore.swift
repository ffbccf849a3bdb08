package import MintCache

/// A store of a test that hands on to another one what it does not do itself.
package protocol ForwardingStore: CacheStore {
    var base: any CacheStore { get }
}

extension ForwardingStore {
    package func get(_ key: StoreKey) async throws -> StoreItem? { try await base.get(key) }

    package func get(_ keys: [StoreKey]) async throws -> [StoreItem?] { try await base.get(keys) }

    package func set(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws {
        try await base.set(key, value: value, expiry: expiry)
    }

    package func add(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws -> StoreWrite {
        try await base.add(key, value: value, expiry: expiry)
    }

    package func compareAndSwap(
        _ key: StoreKey, expecting cas: StoreItem.CAS, value: [UInt8], expiry: Duration?
    ) async throws -> StoreWrite {
        try await base.compareAndSwap(key, expecting: cas, value: value, expiry: expiry)
    }

    package func delete(_ key: StoreKey) async throws -> Bool { try await base.delete(key) }
}
