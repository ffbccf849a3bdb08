import CacheUtils
import TestSupport
import Testing

/// Releases side by side: what the article *Deploys* says.
@Suite("A deploy", .timeLimit(.minutes(5)))
struct DeployTests {
    private static let stores: [StoreKind] = StoreKind.allCases + [.twoServers]

    /// A process of a release, with the rows of a database that all share.
    private struct Release {
        let cache: Cache
        let row: CachedFunction<Int, Int>

        init(_ version: String, also others: [String], _ store: any CacheStore, _ rows: Rows) {
            cache = Cache(store: store, namespace: "shop", version: version, invalidatesAlso: others)
            row = cache.cached("row", ttl: .seconds(600), groups: ["rows"]) { await rows.version(of: $0) }
        }
    }

    private actor Rows {
        private var versions: [Int: Int] = [:]

        func version(of row: Int) -> Int { versions[row, default: 0] }

        func update(_ row: Int) -> Int {
            versions[row, default: 0] += 1
            return versions[row, default: 0]
        }
    }

    @Test(
        "of a new version sees no values of the old one, and an invalidated group is invalid in both", arguments: stores
    )
    func group(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let rows = Rows()
            let (old, new) = (Release("7", also: [], store, rows), Release("8", also: [], store, rows))
            #expect(try await old.row(1) == 0)
            _ = await rows.update(1)
            #expect(try await new.row(1) == 1)
            for release in [old, new] { await release.cache.drain() }
            #expect(try await old.row(1) == 0)
            for release in [new, old] {
                let version = await rows.update(1)
                try await release.cache.invalidate(group: "rows")
                #expect(try await old.row(1) == version)
                #expect(try await new.row(1) == version)
            }
        }
    }

    @Test("announced, raised, rolled out and rolled back brings no invalidated value back", arguments: stores)
    func rollOutAndBack(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let rows = Rows()
            // Each step: who runs, all of whom have to serve what each of them has invalidated.
            let announced = Release("7", also: ["8"], store, rows)
            let raised = Release("8", also: ["7"], store, rows)
            for step in [[announced], [announced, raised], [raised], [raised, announced], [announced]] {
                for number in 0..<200 {
                    let row = number % 20
                    for release in step { _ = try await release.row(row) }
                    let version = await rows.update(row)
                    try await step[number % step.count].row.invalidate(row)
                    for release in step { #expect(try await release.row(row) == version) }
                }
            }
        }
    }

    @Test("whose list is one-sided is told of nothing that the other side invalidates")
    func oneSided() async throws {
        let (store, rows) = (InMemoryStore(), Rows())
        let (old, new) = (Release("7", also: [], store, rows), Release("8", also: ["7"], store, rows))
        for release in [old, new] {
            #expect(try await release.row(1) == 0)
            await release.cache.drain()
        }
        var version = await rows.update(1)
        try await new.row.invalidate(1)
        #expect(try await old.row(1) == version)
        #expect(try await new.row(1) == version)
        for release in [old, new] { await release.cache.drain() }
        version = await rows.update(1)
        try await old.row.invalidate(1)
        #expect(try await old.row(1) == version)
        #expect(try await new.row(1) == version - 1)
    }

    @Test("an invalidation of a list or of a key by name reaches the other versions, long keys and events too")
    func everyWay() async throws {
        let (store, rows) = (InMemoryStore(), Rows())
        let caches = ["7", "8"].map { version in
            Cache(store: store, namespace: "shop", version: version, invalidatesAlso: ["7", "8"])
        }
        let functions = caches.map { cache in
            cache.cached("row", ttl: .seconds(600)) { (_: String, row: Int) in await rows.version(of: row) }
        }
        let long = String(repeating: "x", count: 500)
        func offers(_ cache: Cache) async throws -> Int {
            try await cache.value(forKey: "offers", ttl: .seconds(600)) { await rows.version(of: 1) }
        }
        func expect(_ version: Int) async throws {
            for (cache, function) in zip(caches, functions) {
                #expect(try await function(long, 1) == version)
                #expect(try await function("short", 1) == version)
                #expect(try await offers(cache) == version)
                await cache.drain()
            }
        }
        try await expect(0)
        var version = await rows.update(1)
        try await expect(0)
        try await functions[0].invalidate(many: [(long, 1), ("short", 1)])
        try await caches[0].invalidate(keys: ["offers"])
        try await expect(version)
        version = await rows.update(1)
        let events = AsyncStream<Int> { stream in
            stream.yield(1)
            stream.finish()
        }
        try await caches[1].invalidate(on: events) { row in
            [
                .key("offers"), try .call(functions[1], long, row), try .call(functions[1], "short", row),
            ]
        }
        try await expect(version)
    }

    @Test("from the first edition invalidates its values and its groups, wherever they are", arguments: stores)
    func firstEdition(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let cache = Cache(store: store, namespace: "shop", version: "8", firstEditionVersions: ["7"])
            let row = cache.cached("row", ttl: .seconds(600), groups: ["rows"]) { (row: Int) in row }
            let (value, group) = try (StoreKey("shop:7:row(1)"), StoreKey("shop:7:@rows"))
            // As the first edition writes them, each on the server of its own.
            for key in [value, group] { try await store.set(key, value: [1], expiry: nil) }
            try await row.invalidate(1)
            #expect(try await store.get(value) == nil)
            #expect(try await store.get(group) != nil)
            try await cache.invalidate(group: "rows")
            #expect(try await store.get(group) == nil)
            try await store.set(group, value: [1], expiry: nil)
            let events = AsyncStream<Int> { stream in
                stream.yield(1)
                stream.finish()
            }
            try await cache.invalidate(on: events) { _ in [.group("rows")] }
            #expect(try await store.get(group) == nil)
        }
    }

    @Test("everything of a namespace is invalid at once, in every version, where that is wanted", arguments: stores)
    func everything(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let rows = Rows()
            let caches = ["7", "8"].map { version in
                Cache(store: store, namespace: "shop", version: version, canInvalidateAll: true)
            }
            let other = Cache(store: store, namespace: "shop2", canInvalidateAll: true)
            let functions = (caches + [other]).map { cache in
                cache.cached("row", ttl: .seconds(600), groups: ["rows"]) { await rows.version(of: $0) }
            }
            for row in 0..<20 {
                for function in functions { #expect(try await function(row) == 0) }
                _ = await rows.update(row)
            }
            for cache in caches + [other] { await cache.drain() }
            try await caches[1].invalidateAll()
            for row in 0..<20 {
                #expect(try await functions[0](row) == 1)
                #expect(try await functions[1](row) == 1)
                #expect(try await functions[2](row) == 0)
            }
            let error = await #expect(throws: CacheError.self) {
                try await Cache(store: store, namespace: "shop").invalidateAll()
            }
            #expect(error?.code == .invalidConfiguration && error?.message.contains("canInvalidateAll") == true)
        }
    }
}
