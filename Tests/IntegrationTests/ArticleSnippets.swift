import CacheUtils
import Logging
import Memcached
#if ServiceLifecycle
import ServiceLifecycle
#endif

// The code of the articles, compiled. `ReadmeTests` says whether they have these very lines.

private enum Snippets {
    struct City: Codable, Sendable {
        var slug: String
    }

    struct Token: Codable, Sendable {
        var tenant: String
        var lifetime: Duration { .seconds(3600) }
    }

    struct Report: Codable, Sendable {
        var isComplete: Bool
    }

    struct Change: Sendable {
        var slug: String
    }

    struct Database: Sendable {
        let changes: AsyncStream<Change>

        func city(slug: String) async throws -> City { City(slug: slug) }
        func cities(slugs: [String]) async throws -> [City] { slugs.map { City(slug: $0) } }
        func token(of user: Int) async throws -> Token { Token(tenant: "\(user)") }
        func report(_ day: Int) async throws -> Report { Report(isComplete: day > 0) }
        func point(_ name: String) async throws -> Point { Point(x: name.count, y: 0) }
        func offers() async throws -> Int { 42 }
        func page(_ path: String) async throws -> Page { Page(text: path) }
    }

    struct Page: Codable, Sendable {
        var text: String
    }

    struct Point: Sendable {
        var x: Int
        var y: Int
    }

    struct DamagedPoint: Error {}

    static func batches(_ cache: Cache, _ database: Database) async throws {
        let city = cache.cached("City.get", ttl: .seconds(86_400), groups: ["cities"]) { (slug: String) in
            try await database.city(slug: slug)
        } loadMany: { slugs in
            let rows = try await database.cities(slugs: slugs)
            let bySlug = Dictionary(rows.map { ($0.slug, $0) }) { first, _ in first }
            return slugs.map { bySlug[$0] }
        }

        let page = try await city.many(["paris", "lyon", "nice"])
        _ = page
    }

    static func policies(_ store: InMemoryStore, _ database: Database) async throws {
        let policy = CachePolicy(ttl: .seconds(600), jitter: 0.1, earlyRefresh: .byChance(), staleFor: .seconds(60))
        let cache = Cache(store: store, namespace: "shop", policy: policy)
        let city = cache.cached("City.get") { (slug: String) in try await database.city(slug: slug) }
        let rare = cache.cached("City.rare", ttl: .seconds(86_400)) { (slug: String) in
            try await database.city(slug: slug)
        }
        let strict = try await city.with { $0.staleFor = .zero }("paris")

        let token = cache.cached("token") { (user: Int) in
            let token = try await database.token(of: user)
            return Cached(token, ttl: token.lifetime - .seconds(10), groups: ["tenant:\(token.tenant)"])
        }
        let report = cache.cached("report", ttl: .seconds(600)) { (day: Int) in
            let report = try await database.report(day)
            return Cached(report, store: report.isComplete ? .yes : .no)
        }

        let byCountry = cache.cached("City.find") { (slug: String, country: String) in
            try await database.city(slug: slug)
        }
        .grouped { _, country in ["country:\(country)"] }

        var headers: [String: String] = [:]
        let answer = try await city.answer("paris")
        headers["Cache-Status"] = answer.cacheStatus(of: "shop")
        headers["Age"] = answer.ageHeader
        _ = (rare, strict, token, report, byCountry)
    }

    static func codecs(_ cache: Cache, _ database: Database) {
        struct PointCodec: CacheCodec {
            let format = "Point 1"

            func encode(_ point: Point) -> [UInt8] { point.x.bytes + point.y.bytes }

            func decode(_ bytes: ArraySlice<UInt8>) throws -> Point {
                guard bytes.count == 16 else { throw DamagedPoint() }
                return Point(x: Int(bytes: bytes.prefix(8)), y: Int(bytes: bytes.suffix(8)))
            }
        }

        let point = cache.cached("point", ttl: .seconds(60), codec: PointCodec()) { (name: String) in
            try await database.point(name)
        }
        let maybe = cache.cached("point.maybe", nilFor: .seconds(5), codec: PointCodec().optional) { (name: String) in
            try? await database.point(name)
        }
        _ = (point, maybe)
    }

    #if ServiceLifecycle
    static func observability(_ server: any Service, _ logger: Logger, _ tenant: Int) throws {
        let store = try MemcachedStore(servers: ["cache1:11211"])
        let cache = Cache(store: store, namespace: "shop")
        let group = ServiceGroup(services: [cache, server], logger: logger)
        var instrumentation = CacheInstrumentation()
        instrumentation.metrics?.namespace = "tenants"
        let tenants = Cache(store: store, namespace: "tenant \(tenant)", instrumentation: instrumentation)
        let audited = Cache(store: store, namespace: "shop", policy: CachePolicy(audit: CacheAudit(every: 10_000)))
        _ = (group, tenants, audited)
    }
    #endif

    #if Zstd
    static func compression(_ cache: Cache, _ database: Database) {
        let page = cache.cached("page", codec: JSONCodec<Page>().compressed(above: 4096)) { (path: String) in
            try await database.page(path)
        }
        _ = page
    }
    #endif

    static func migrating(_ store: InMemoryStore, _ cache: Cache, _ database: Database) async throws {
        let city = cache.cached("City.get", ttl: .seconds(60)) { (slug: String) in try await database.city(slug: slug) }
        let paris = try await city("paris")

        try await city.invalidate("paris")

        let grouped = cache.cached("City.grouped", ttl: .seconds(86_400), groups: ["cities"]) { (slug: String) in
            try await database.city(slug: slug)
        }
        try await cache.invalidate(group: "cities")

        let mint = Cache(store: store, namespace: "shop", policy: CachePolicy(staleFor: .seconds(30)))

        let versioned = Cache(store: store, namespace: "shop", version: "7", invalidatesAlso: ["6"])

        let find = cache.cached("City.find", ttl: .seconds(60), nilFor: .seconds(5)) { (slug: String) -> City? in
            try? await database.city(slug: slug)
        }

        let key = try city.key("paris")

        let fresh = try await city.refresh("paris")
        let cached = try await city.peek("paris")
        let count = try await cache.value(forKey: "offers", ttl: .seconds(60)) { try await database.offers() }
        try await cache.invalidate(key: "offers")

        try await cache.invalidate(on: database.changes) { change in
            [try .call(city, change.slug), .group("cities")]
        }
        _ = (paris, grouped, mint, versioned, find, key, fresh, cached, count)
    }
}

extension Int {
    fileprivate var bytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }

    fileprivate init(bytes: ArraySlice<UInt8>) {
        self = bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
    }
}
