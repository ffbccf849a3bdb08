import CacheUtils
import TestSupport
import Testing

/// A city, as a database row.
struct City: Codable, Sendable, Equatable {
    var name: String
    var population: Int
}

/// A database whose answers change and whose queries are counted.
actor Database {
    private(set) var queries = 0
    private var populations: [String: Int] = [:]

    func update(_ slug: String, population: Int) { populations[slug] = population }

    func city(_ slug: String) throws -> City {
        queries += 1
        return City(name: slug, population: populations[slug, default: 1])
    }

    func find(_ slug: String) -> City? {
        queries += 1
        return populations[slug].map { City(name: slug, population: $0) }
    }
}

/// A cache with a clock that stands still, on a store.
struct Bench {
    let clock: ManualClock
    let statistics = CacheStatistics()
    let database = Database()
    let store: any CacheStore
    let cache: Cache

    init(_ store: any CacheStore, version: String = "7", clock: ManualClock = ManualClock()) {
        self.clock = clock
        self.store = store
        cache = Cache(store: store, namespace: "shop", version: version, clock: clock, observer: statistics)
    }

    /// Lets what calls have left to the background end: fills and leases that are given back.
    func settle() async { #expect(await cache.drain().isComplete) }

    /// A second cache as another process would have it: the same store and clock, nothing else shared.
    func otherProcess(version: String = "7") -> Cache {
        Cache(store: store, namespace: "shop", version: version, clock: clock)
    }

    func city(
        in cache: Cache? = nil,
        ttl: Duration = .seconds(60),
        refresh: CachePolicy.Refresh = .foreground,
        groups: [String] = ["cities"]
    ) -> CachedFunction<String, City> {
        (cache ?? self.cache).cached("City.get", ttl: ttl, refresh: refresh, groups: groups) {
            [database] (slug: String) in try await database.city(slug)
        }
    }
}
