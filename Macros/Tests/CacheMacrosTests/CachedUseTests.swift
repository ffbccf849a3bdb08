import CacheMacros
import CacheUtilsTesting
import Synchronization
import Testing

private final class Loads: Sendable {
    private let count = Atomic(0)

    var value: Int { count.load(ordering: .relaxed) }

    func next() -> Int { count.add(1, ordering: .relaxed).newValue }
}

private struct Cities: Sendable {
    let cache: Cache
    let loads = Loads()

    @Cached(ttl: .seconds(60), groups: ["cities", "country:{country}"])
    func city(_ slug: String, country: String = "fr") async throws -> String {
        "\(slug), \(country), \(loads.next())"
    }

    @Cached("best", ttl: .seconds(60))
    func best() -> Int { loads.next() }
}

private struct User: Sendable {
    let id: Int
    let cache: Cache

    @Cached(ttl: .seconds(60), keyedBy: \.id)
    func profile() async -> String { "user \(id)" }

    @Cached(keyedBy: \User.name.count)
    func nameLength() -> Int { name.count }

    var name: String { "user" }
}

private actor Store {
    private let cache: Cache
    private var count = 0

    init(cache: Cache) { self.cache = cache }

    @Cached(ttl: .seconds(60))
    func next(_ name: String) async -> Int {
        count += 1
        return count
    }
}

private enum Prices {
    static let cache = Cache(store: InMemoryStore(), namespace: "prices")
    static let loads = Loads()

    @Cached(ttl: .seconds(60), nilFor: .seconds(5))
    static func price(of item: String, in currency: String = "EUR") async throws -> Int? { loads.next() }
}

extension Prices {
    @Cached(ttl: .seconds(60))
    fileprivate static func rate(_ currency: String) throws -> Int { loads.next() }

    @Cached("Prices.rateOnDay", in: Prices.cache, ttl: .seconds(60), hasHandle: false)
    fileprivate static func rate(_ currency: String, on day: Int) throws -> Int { loads.next() }
}

private let globalCache = Cache(store: InMemoryStore(), namespace: "global")
private let globalLoads = Loads()

@Cached(in: globalCache, ttl: .seconds(60), groups: ["answers"])
private func answer(to question: String) async throws -> Int { globalLoads.next() }

@MainActor
private final class Screen {
    let cache: Cache
    let loads = Loads()

    init(cache: Cache) { self.cache = cache }

    @Cached(ttl: .seconds(60))
    func `default`(cached cache: String) -> Int { loads.next() }

    @Cached("Screen.other", ttl: .seconds(60), hasHandle: false)
    func other(cached: Int, cache: Int = 0) throws -> Int { loads.next() }

    @Cached
    func search(in: String, search: String) -> Int { loads.next() }
}

/// What conforms has keys of its own.
private protocol Model: Sendable {
    var cache: Cache { get }
    var id: Int { get }
}

extension Model {
    @Cached(ttl: .seconds(60), keyedBy: \Self.id)
    fileprivate func title(_ title: String) async -> String { "\(Self.self) \(id) \(title)" }
}

private struct Song: Model {
    let cache: Cache
    let id: Int
}

private struct Book: Model {
    let cache: Cache
    let id: Int

    @Cached
    func loan(_ days: Int) async -> Cached<Int> { Cached(days, ttl: .seconds(5)) }
}

@MainActor
private enum Screens {
    static let cache = Cache(store: InMemoryStore(), namespace: "screens")

    @Cached
    static func count() -> Int { 7 }
}

@Suite("@Cached")
struct CachedUseTests {
    private let cache = Cache(store: InMemoryStore(), namespace: "test")

    @Test("makes a method with the same labels and defaults, and a handle")
    func method() async throws {
        let cities = Cities(cache: cache)
        #expect(try await cities.cityCached("paris") == "paris, fr, 1")
        // Written or defaulted, it is the same key.
        #expect(try await cities.cityCached("paris", country: "fr") == "paris, fr, 1")
        #expect(try await cities.cityCached("rome", country: "it") == "rome, it, 2")
        try await cities.cityCache.invalidate("paris", "fr")
        await cache.drain()
        #expect(try await cities.cityCached("paris") == "paris, fr, 3")
        try await cache.invalidate(group: "country:it")
        #expect(try await cities.cityCache.peek("rome", "it") == nil)
        #expect(try cities.cityCache.key("paris", "fr").description == "test:1:Cities.city(\"paris\",\"fr\")")
        #expect(try await cities.bestCached() == 4)
        #expect(try await cities.bestCached() == 4)
        #expect(try cities.bestCache.key().description == "test:1:best()")
        // The function itself is as it was.
        #expect(try await cities.city("paris") == "paris, fr, 5")
    }

    @Test("puts a part of self into the key where it is told to")
    func keyed() async throws {
        let users = [User(id: 1, cache: cache), User(id: 2, cache: cache)]
        #expect(try await users[0].profileCached() == "user 1")
        #expect(try await users[1].profileCached() == "user 2")
        try await users[0].profileCache.invalidate()
        #expect(try await users[1].profileCache.peek() == "user 2")
    }

    @Test("is for classes on the main actor, and for names that are in its way")
    @MainActor
    func mainActor() async throws {
        let screen = Screen(cache: cache)
        #expect(try await screen.defaultCached(cached: "x") == 1)
        #expect(try await screen.defaultCache("x") == 1)
        #expect(try screen.defaultCache.key("x").description == "test:1:Screen.default(\"x\")")
        #expect(try await screen.otherCached(cached: 1) == 2)
        #expect(try await screen.otherCached(cached: 1, cache: 0) == 2)
        #expect(try await screen.searchCached(in: "a", search: "b") == 3)
        #expect(try await screen.searchCache("a", "b") == 3)
    }

    @Test("has keys for each type that conforms to a protocol, and its value may say how it is cached")
    func protocols() async throws {
        #expect(try await Song(cache: cache, id: 1).titleCached("x") == "Song 1 x")
        #expect(try await Book(cache: cache, id: 1).titleCached("x") == "Book 1 x")
        #expect(try Book(cache: cache, id: 1).titleCache.key("x").description == "test:1:Book.title(1,\"x\")")
        let book = Book(cache: cache, id: 1)
        #expect(try await book.loanCached(3) == 3)
        #expect(try await book.loanCache.answer(4).freshFor == .seconds(5))
        #expect(try await Screens.countCached() == 7)
    }

    @Test("is for actors, enums, extensions and global functions, too")
    func places() async throws {
        let store = Store(cache: cache)
        #expect(try await store.nextCached("a") == 1)
        #expect(try await store.nextCached("a") == 1)
        #expect(try await store.nextCache.peek("a") == 1)
        #expect(try await Prices.priceCached(of: "tea") == 1)
        #expect(try await Prices.priceCached(of: "tea", in: "EUR") == 1)
        #expect(try await Prices.rateCached("EUR") == 2)
        #expect(try await Prices.rateCached("EUR", on: 1) == 3)
        #expect(try await Prices.rateCached("EUR", on: 1) == 3)
        #expect(try await Prices.rateCache("EUR") == 2)
        #expect(try await answerCached(to: "life") == 1)
        #expect(try await answerCached(to: "life") == 1)
        try await globalCache.invalidate(group: "answers")
        #expect(try await answerCache("life") == 2)
        #expect(try await answerCache.many(["life", "else"]) == [2, 3])
    }
}
