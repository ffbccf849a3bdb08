import CacheUtils
import Foundation
import Memcached
import MemcachedProcess
import TestSupport
import Testing

/// What the article *The envelope* says of other languages, run as it stands there.
@Suite("From Python", .enabled(if: Python.hasPylibmc, "needs python3-pylibmc"), .timeLimit(.minutes(5)))
struct OtherLanguageTests {
    @Test(
        "a value, a group and everything are invalidated in a line each", arguments: ["value", "group", "everything"])
    func invalidation(what: String) async throws {
        let servers = try (0..<3).map { _ in try MemcachedProcess() }
        defer { for server in servers { server.stop() } }
        try await withServers(servers.map(\.address)) { store async throws in
            let (cache, database) = (
                Cache(store: store, namespace: "shop", version: "7", canInvalidateAll: true), Database()
            )
            func city(_ name: String, _ group: String) -> CachedFunction<String, City> {
                cache.cached(name, ttl: .seconds(600), groups: [group]) { try await database.city($0) }
            }
            let slugs = ["paris"] + (0..<20).map { "\($0)" }
            let (inGroup, elsewhere) = (city("City.get", "cities"), city("Town.get", "towns"))
            func cached(_ function: CachedFunction<String, City>) async throws -> [String] {
                var found: [String] = []
                for slug in slugs where try await function.peek(slug) != nil { found.append(slug) }
                return found
            }
            for slug in slugs { _ = try await (inGroup(slug), elsewhere(slug)) }
            await cache.drain()
            #expect(try await cached(inGroup) == slugs)
            #expect(try await cached(elsewhere) == slugs)
            try await Python.run(try Self.lines(what), servers: servers.map(\.address))
            let left = what == "value" ? Array(slugs.dropFirst()) : []
            #expect(try await cached(inGroup) == left)
            let leftElsewhere = what == "everything" ? [] : slugs
            #expect(try await cached(elsewhere) == leftElsewhere)
        }
    }

    /// The lines of the article that invalidate something.
    private static func lines(_ what: String) throws -> [String] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let article = try String(
            contentsOf: root.appending(path: "Sources/MintCache/MintCache.docc/Envelope.md"), encoding: .utf8)
        let code = article.split(separator: "\n").filter { $0.hasPrefix("    ") && $0.contains("pylibmc") }
        let line = try #require(code.first { $0.hasSuffix(what) })
        return [try #require(code.first).dropFirst(4), line.dropFirst(4)].map(String.init)
    }
}

private enum Python {
    private static let program = "/usr/bin/python3"

    static let hasPylibmc = status(["-c", "import pylibmc"]) == 0

    /// Runs the first line, says which servers there are, and runs the others.
    static func run(_ lines: [String], servers: [String]) async throws {
        let code = ([lines[0], "servers = \(servers)"] + lines.dropFirst()).joined(separator: "\n")
        let end = await withCheckedContinuation { (continuation: CheckedContinuation<Int32?, Never>) in
            Thread.detachNewThread { continuation.resume(returning: status(["-c", code])) }
        }
        #expect(end == 0)
    }

    private static func status(_ arguments: [String]) -> Int32? {
        guard let process = try? ChildProcess.spawn(program, arguments) else { return nil }
        var status: Int32 = 0
        waitpid(process, &status, 0)
        return status
    }
}
