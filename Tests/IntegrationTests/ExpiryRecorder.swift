import CacheUtils
import Synchronization
import TestSupport

/// A store that remembers for how long each key was stored.
final class ExpiryRecorder: ForwardingStore {
    let base: any CacheStore
    private let recorded = Mutex<[StoreKey: [Duration?]]>([:])

    init(_ base: any CacheStore) { self.base = base }

    func expiries(of key: StoreKey) -> [Duration?] { recorded.withLock { $0[key, default: []] } }

    private func record(_ key: StoreKey, _ expiry: Duration?) {
        recorded.withLock { $0[key, default: []].append(expiry) }
    }

    func set(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws {
        record(key, expiry)
        try await base.set(key, value: value, expiry: expiry)
    }

    func add(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws -> StoreWrite {
        record(key, expiry)
        return try await base.add(key, value: value, expiry: expiry)
    }

    func compareAndSwap(
        _ key: StoreKey,
        expecting cas: StoreItem.CAS,
        value: [UInt8],
        expiry: Duration?
    ) async throws -> StoreWrite {
        record(key, expiry)
        return try await base.compareAndSwap(key, expecting: cas, value: value, expiry: expiry)
    }
}
