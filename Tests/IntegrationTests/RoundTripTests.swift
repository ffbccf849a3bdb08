import CacheUtils
import Memcached
import MemcachedProcess
import TestSupport
import Testing

/// What each operation costs in exchanges with a server, which is what most of its time goes into: counted on the wire.
@Suite("Round trips", .timeLimit(.minutes(5)))
struct RoundTripTests {
    private static let groups = [[], ["a"], ["a", "b", "c"]]

    /// A cached function on a server, and how many exchanges something takes, its background work included.
    private struct Wire {
        let cache: Cache
        let relay: Relay

        func square(groups: [String]) -> CachedFunction<Int, Int> {
            cache.cached("square", ttl: .seconds(60), groups: groups) { $0 * $0 }
        }

        func exchanges(_ body: () async throws -> Void) async throws -> Int {
            await cache.drain()
            relay.forgetLines()
            try await body()
            await cache.drain()
            return lineCount
        }

        /// Each exchange is one line that is answered; what leaves with it is not.
        var lineCount: Int {
            relay.lines.count { line in
                ["gets ", "set ", "delete "].contains(where: line.hasPrefix) && !line.contains("cache-utils:")
            }
        }
    }

    private func withWire(_ body: (Wire) async throws -> Void) async throws {
        let server = try MemcachedProcess()
        let relay = try Relay(toPort: server.port)
        defer {
            relay.stop()
            server.stop()
        }
        try await withServers([relay.address]) { store async throws in
            let wire = Wire(cache: Cache(store: store, namespace: "cost"), relay: relay)
            // Until all connections are open.
            for number in 0..<20 { _ = try await wire.square(groups: [])(1_000_000 + number) }
            try await wire.square(groups: []).invalidate(0)
            try await body(wire)
        }
    }

    @Test("one for a hit, however many groups it has", arguments: groups)
    func hit(groups: [String]) async throws {
        try await withWire { wire async throws in
            let square = wire.square(groups: groups)
            _ = try await square(3)
            #expect(try await wire.exchanges { _ = try await square(3) } == 1)
        }
    }

    @Test("three for a miss: read, take the lease, fill, and the caller waits for two", arguments: groups)
    func coldMiss(groups: [String]) async throws {
        try await withWire { wire async throws in
            let square = wire.square(groups: groups)
            _ = try await square(3)
            #expect(try await wire.exchanges { _ = try await square(4) } == 3)
            try await square.invalidate(4)
            #expect(try await wire.exchanges { _ = try await square(4) } == 3)
            guard let group = groups.last else { return }
            try await wire.cache.invalidate(group: group)
            #expect(try await wire.exchanges { _ = try await square(4) } == 3)
        }
    }

    @Test("one more for the first miss of new groups, however many: give them stamps and read again", arguments: groups)
    func firstMissOfGroups(groups: [String]) async throws {
        try await withWire { wire async throws in
            let square = wire.square(groups: groups)
            #expect(try await wire.exchanges { _ = try await square(3) } == (groups.isEmpty ? 3 : 4))
        }
    }

    @Test(
        "two before the loader and one after it for a thousand values, half of them cold, on one server",
        arguments: groups)
    func batch(groups: [String]) async throws {
        try await withWire { wire async throws in
            let before = Counter()
            let label = wire.cache.cached("label of a number", ttl: .seconds(60), groups: groups) { (number: Int) in
                "\(number)"
            } loadMany: { numbers in
                #expect(numbers == Array(500..<1000))
                before.add(wire.lineCount)
                return numbers.map { "label \($0)" }
            }
            for number in 0..<500 { _ = try await label(number) }
            #expect(try await wire.exchanges { _ = try await label.many(Array(0..<1000)) } == 3)
            #expect(before.value == 2)
            // All hits: one.
            #expect(try await wire.exchanges { _ = try await label.many(Array(0..<1000)) } == 1)
        }
    }

    @Test(
        "the same where each value has groups of its arguments, or of its own: then one more to read, for all of them")
    func batchOfGroups() async throws {
        try await withWire { wire async throws in
            let numbers = Array(0..<1000)
            let byArguments = wire.cache.cached("label", ttl: .seconds(60)) { (number: Int) in
                "\(number)"
            } loadMany: {
                $0.map { "label \($0)" }
            }
            .grouped { ["hundred \($0 / 100)"] }
            for number in 0..<500 { _ = try await byArguments(number) }
            // The stamps of five hundreds are new: given, and read again.
            #expect(try await wire.exchanges { _ = try await byArguments.many(numbers) } == 5)
            #expect(try await wire.exchanges { _ = try await byArguments.many(numbers) } == 1)

            let own = wire.cache.cached("own", ttl: .seconds(60)) { (number: Int) in
                Cached("\(number)")
            } loadMany: {
                $0.map { Cached("own \($0)", groups: ["own hundred \($0 / 100)"]) }
            }
            let first = try await wire.exchanges { _ = try await own.many(numbers) }
            // Read and leases; stamps, new ones, again, and the leases; fills.
            #expect(first == 7)
            #expect(try await wire.exchanges { _ = try await own.many(numbers) } == 2)
        }
    }

    @Test("as many lines for what does not fit one, one after the other")
    func longBatch() async throws {
        try await withWire { wire async throws in
            let text = wire.cache.cached("text", ttl: .seconds(60)) { (text: String) in
                text
            } loadMany: {
                $0
            }
            let texts = (0..<1000).map { "\($0) " + String(repeating: "x", count: 150) }
            #expect(try await text.many(texts) == texts)
            // Of 64,000 bytes each at most.
            let size = try texts.reduce(0) { try $0 + text.key($1).bytes.count + 1 }
            let exchanges = try await wire.exchanges {
                let cached = try await text.many(texts)
                #expect(cached == texts)
            }
            #expect(exchanges == size / 64_000 + 1)
        }
    }

    @Test("one for an exact invalidation")
    func exactInvalidation() async throws {
        try await withWire { wire async throws in
            let square = wire.square(groups: ["a"])
            _ = try await square(3)
            #expect(try await wire.exchanges { try await square.invalidate(3) } == 1)
        }
    }

    @Test("one for a group invalidation, of ten values as of a thousand", arguments: [10, 1000])
    func groupInvalidation(size: Int) async throws {
        try await withWire { wire async throws in
            let square = wire.square(groups: ["a"])
            for number in 0..<size { _ = try await square(number) }
            #expect(try await wire.exchanges { try await wire.cache.invalidate(group: "a") } == 1)
        }
    }
}
