import CacheUtils
import Foundation
import MintCache

/// What the demo asks for cities: this package's cache, or one without protection.
protocol CityCache: Sendable {
    func city(_ name: String) async throws -> City?
    func invalidate(_ name: String) async throws
    func invalidateAll() async throws
}

/// This package.
struct ProtectedCache: CityCache {
    private let cache: Cache
    private let get: CachedFunction<String, City?>

    init(store: any CacheStore, clock: any CacheClock, observer: any CacheObserver, table: CityTable) {
        cache = Cache(store: store, namespace: "demo", version: "1", clock: clock, observer: observer)
        get = cache.cached("City.get", ttl: Demo.ttl, groups: ["cities"]) { (name: String) in
            try await table.city(name)
        }
    }

    func city(_ name: String) async throws -> City? { try await get(name) }

    func invalidate(_ name: String) async throws { try await get.invalidate(name) }

    func invalidateAll() async throws { try await cache.invalidate(group: "cities") }
}

/// What one writes by hand: look, and when there is nothing, load and store.
struct UnprotectedCache: CityCache {
    private struct Entry: Codable {
        var city: City
        var expiry: Int64
    }

    let store: any CacheStore
    let clock: any CacheClock
    let table: CityTable

    func city(_ name: String) async throws -> City? {
        let key = try await key(name)
        if let item = try? await store.get(key),
            let entry = try? JSONDecoder().decode(Entry.self, from: Data(item.value)),
            entry.expiry > clock.now.microseconds
        {
            return entry.city
        }
        guard let city = try await table.city(name) else { return nil }
        let entry = Entry(city: city, expiry: (clock.now + Demo.ttl).microseconds)
        try? await store.set(key, value: Array(JSONEncoder().encode(entry)), expiry: Demo.ttl)
        return city
    }

    func invalidate(_ name: String) async throws { _ = try await store.delete(key(name)) }

    func invalidateAll() async throws {
        try await store.set(generationKey(), value: Array(UUID().uuidString.utf8), expiry: nil)
    }

    private func generationKey() throws -> StoreKey { try StoreKey("unprotected:generation") }

    private func key(_ name: String) async throws -> StoreKey {
        let generation = try? await store.get(generationKey())
        return try StoreKey("unprotected:\(String(decoding: generation?.value ?? [], as: UTF8.self)):\(name)")
    }
}
