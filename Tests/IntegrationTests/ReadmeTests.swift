import CacheUtils
import Foundation
import Memcached
import Testing

/// The quick start of the README, compiled. The test below says whether the README has these very lines.
private func quickStart() async throws {
    // README.md: quick start
    struct City: Codable, Sendable {
        var name: String
        var population: Int
    }

    @Sendable func loadCity(slug: String) async throws -> City {
        City(name: slug, population: 2_100_000)  // your database query
    }

    let store = try MemcachedStore(servers: ["127.0.0.1:11211"])  // or InMemoryStore()
    let cache = Cache(store: store, namespace: "shop", version: "7")

    // Any async function of any number of arguments becomes a cached one.
    let city = cache.cached("City.get", ttl: .seconds(86_400), groups: ["cities"], load: loadCity)

    let paris = try await city("paris")  // loads once, in the whole fleet
    try await city.invalidate("paris")  // this exact argument list
    try await cache.invalidate(group: "cities")  // every value in the group, with one write to each server
    try await city.expire("paris")  // stale from now on: served while one caller refreshes it

    let fresh = try await city.refresh("paris")  // load now; it has replaced the old one when this returns
    let cached = try await city.peek("paris")  // what is cached, without loading
    let key = try city.key("paris")  // shop:7:City.get("paris")

    // Many values: one round trip for what is cached, one call of the loader for what is not.
    let cities = cache.cached(
        "City.page", ttl: .seconds(600), load: loadCity,
        loadMany: { slugs in
            slugs.map { City(name: $0, population: 500_000) }  // one query: a value for each, nil for none
        })
    let page = try await cities.many(["paris", "lyon"])

    // One value, no helper.
    let count = try await cache.value(forKey: "offers", ttl: .seconds(60)) { 42 }
    try await cache.invalidate(key: "offers")

    print(paris, fresh, cached as Any, key, page.count, count)
    await cache.drain()
    await store.shutdown()
    // README.md: end
}

@Suite("The README")
struct ReadmeTests {
    private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test("has the code that is compiled here")
    func quickStart() throws {
        let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
        let source = try String(contentsOfFile: #filePath, encoding: .utf8)
        let compiled = try #require(source.split(separator: "    // README.md: quick start\n").last)
        let lines = try #require(compiled.split(separator: "    // README.md: end").first)
        #expect(readme.contains(outdented(String(lines)).trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    @Test(
        "and the articles have code that is compiled in ArticleSnippets.swift",
        arguments: ["Batches", "Policies", "Codecs", "MigratingFromDjangoCacheUtils", "Observability"])
    func articles(name: String) throws {
        let path = "Sources/CacheUtils/CacheUtils.docc/\(name).md"
        let article = try String(contentsOf: root.appending(path: path), encoding: .utf8)
        let compiled = try ["Tests/IntegrationTests", "Macros/Tests/CacheMacrosTests"].map { folder in
            let source = try String(
                contentsOf: root.appending(path: "\(folder)/ArticleSnippets.swift"), encoding: .utf8)
            return outdented(source) + outdented(outdented(source))
        }.joined()
        let snippets = article.matches(of: /(?s)```swift\n(.*?)\n```/)
        #expect(snippets.count > 0)
        for snippet in snippets { #expect(compiled.contains(snippet.1), "\(snippet.1)") }
    }

    private func outdented(_ source: String) -> String {
        source.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.hasPrefix("    ") ? String($0.dropFirst(4)) : String($0) }
            .joined(separator: "\n")
    }

    @Test("names only files and targets that there are")
    func links() throws {
        let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
        for link in readme.matches(of: /\]\(([^)#:]+)\)/) {
            #expect(FileManager.default.fileExists(atPath: root.appending(path: String(link.1)).path), "\(link.1)")
        }
        let makefile = try String(contentsOf: root.appending(path: "Makefile"), encoding: .utf8)
        for command in readme.matches(of: /make ([a-z-]+)/) where readme[..<command.range.lowerBound].last != " " {
            #expect(makefile.contains("\n\(command.1):"), "make \(command.1)")
        }
    }
}
