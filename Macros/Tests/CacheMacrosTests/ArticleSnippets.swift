import CacheMacros

// The code of the articles that is for this package, compiled. `ReadmeTests` says whether they have these very lines.

private struct City: Codable, Sendable {
    var slug: String
}

private struct Database: Sendable {
    func city(slug: String) async throws -> City { City(slug: slug) }
}

private struct Cities: Sendable {
    let cache: Cache
    let database: Database

    @Cached(ttl: .seconds(60))
    func city(_ slug: String) async throws -> City { try await database.city(slug: slug) }
}
