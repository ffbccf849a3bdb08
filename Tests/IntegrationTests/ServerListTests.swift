import CacheUtils
import MemcachedProcess
import TestSupport
import Testing

@testable import Memcached

/// Fleets whose list of servers changes.
@Suite("A list of servers", .timeLimit(.minutes(5)))
struct ServerListTests {
    /// One process at one step of a change.
    struct Process {
        let store: MemcachedStore
        let cache: Cache
        let row: CachedFunction<Int, Int>
        let grouped: CachedFunction<Int, Int>

        init(_ store: MemcachedStore, _ rows: Rows) {
            self.store = store
            cache = Cache(store: store, namespace: "shop")
            row = cache.cached("row", ttl: .seconds(600)) { await rows.read($0) }
            grouped = cache.cached("grouped", ttl: .seconds(600), groups: ["rows"]) { await rows.read($0) }
        }
    }

    actor Rows {
        private var versions: [Int: Int] = [:]
        private(set) var reads = 0

        func read(_ row: Int) -> Int {
            reads += 1
            return versions[row, default: 0]
        }

        func update(_ row: Int) -> Int {
            versions[row, default: 0] += 1
            return versions[row, default: 0]
        }
    }

    /// Runs a test on servers of its own.
    static func withServers(_ count: Int, _ body: ([String]) async throws -> Void) async throws {
        let servers = try (0..<count).map { _ in try MemcachedProcess() }
        defer { for server in servers { server.stop() } }
        try await body(servers.map(\.address))
    }

    /// Changes some rows, each invalidated by one of two processes, and sees that both have every row as it is.
    static func change(_ rows: Rows, _ versions: inout [Int], at step: Int, in processes: [Process]) async throws {
        for number in versions.indices {
            // Not at each step, so that what was cached some steps before is there still.
            if (number / 2 + step).isMultiple(of: 3) {
                versions[number] = await rows.update(number)
                let process = processes[number % 2]
                try await process.row.invalidate(number)
                try await process.cache.invalidate(group: "rows")
            }
            for process in processes {
                #expect(try await process.row(number) == versions[number])
                #expect(try await process.grouped(number) == versions[number])
                await process.cache.drain()
            }
        }
    }

    @Test("is changed and changed back in steps, and no mix of two of them brings an invalidated value back (D1)")
    func steps() async throws {
        try await Self.withServers(3) { addresses async throws in
            let lists = try [
                ServerList(Array(addresses[..<2]), number: 1), ServerList(addresses, number: 2),
                ServerList(Array(addresses[..<2]), number: 3), ServerList([addresses[2], addresses[0]], number: 4),
            ]
            let rows = Rows()
            var steps: [() throws -> MemcachedStore] = []
            for (index, list) in lists.enumerated() {
                if index > 0 {
                    let before = lists[index - 1]
                    steps.append { try MemcachedStore(current: before, next: list, configuration: testConfiguration) }
                    steps.append {
                        try MemcachedStore(current: list, previous: before, configuration: testConfiguration)
                    }
                }
                steps.append { try MemcachedStore(current: list, configuration: testConfiguration) }
            }
            var versions = [Int](repeating: 0, count: 40)
            for (index, (earlier, later)) in zip(steps, steps.dropFirst()).enumerated() {
                let processes = try [Process(earlier(), rows), Process(later(), rows)]
                for number in 0..<40 {
                    for process in processes {
                        for function in [process.row, process.grouped] { _ = try await function(number) }
                    }
                }
                for process in processes { await process.cache.drain() }
                try await Self.change(rows, &versions, at: index, in: processes)
                for process in processes { await process.store.shutdown() }
            }
        }
    }

    @Test("without a number is no protection: a key that moved is served as it was before it was invalidated")
    func withoutNumber() async throws {
        try await Self.withServers(3) { addresses async throws in
            let rows = Rows()
            let (old, new) = try (
                Process(MemcachedStore(servers: Array(addresses[..<2])), rows),
                Process(MemcachedStore(servers: addresses), rows)
            )
            var stale = 0
            for number in 0..<40 {
                _ = try await old.row(number)
                await old.cache.drain()
                let version = await rows.update(number)
                try await new.row.invalidate(number)
                if try await old.row(number) != version { stale += 1 }
            }
            #expect(stale > 0)
            for process in [old, new] { await process.store.shutdown() }
        }
    }

    @Test("that changes keeps the values whose keys do not move")
    func unmoved() async throws {
        try await Self.withServers(3) { addresses async throws in
            let (before, after) = try (
                ServerList(Array(addresses[..<2]), number: 1), ServerList(addresses, number: 2)
            )
            let rows = Rows()
            let processes = try [
                MemcachedStore(current: before), MemcachedStore(current: before, next: after),
                MemcachedStore(current: after, previous: before),
            ].map { Process($0, rows) }
            for number in 0..<60 { _ = try await processes[0].row(number) }
            await processes[0].cache.drain()
            for number in 0..<60 { _ = try await processes[1].row(number) }
            #expect(await rows.reads == 60)
            let moved = try (0..<60).count {
                try processes[2].store.parts(of: processes[2].row.key($0)).count > 1
            }
            #expect(moved > 0 && moved < 40)
            for number in 0..<60 { _ = try await processes[2].row(number) }
            await processes[2].cache.drain()
            #expect(await rows.reads == 60 + moved)
            // And back: what was cached under the new list on servers that have it anyway.
            for number in 0..<60 { _ = try await processes[1].row(number) }
            #expect(await rows.reads == 60 + moved)
            for process in processes { await process.store.shutdown() }
        }
    }

    @Test("has a number that follows the one beside it")
    func numbers() throws {
        func list(_ number: UInt32) throws -> ServerList { try ServerList(["a", "b"], number: number) }
        for (current, previous, next) in [
            (2, 2, nil), (2, 3, nil), (2, nil, 2), (2, nil, 4), (2, 1, 3), (0, nil, 1),
        ] as [(UInt32, UInt32?, UInt32?)] {
            let error = #expect(throws: CacheError.self) {
                try ServerLists(current: list(current), previous: previous.map(list), next: next.map(list))
            }
            #expect(error?.code == .invalidServer)
        }
        #expect(throws: CacheError.self) { try ServerLists(current: ServerList([String](), number: 1)) }
        #expect(throws: CacheError.self) {
            try ServerLists(current: list(1), next: ServerList(["c", "c"], number: 2))
        }
        let key = try StoreKey("key")
        let lists = try ServerLists(current: list(2), previous: ServerList(["b", "a", "c"], number: 1))
        #expect(lists.servers.map(\.description) == ["a:11211", "b:11211", "c:11211"])
        #expect(lists.accepts(2, for: key) && !lists.accepts(0, for: key) && !lists.accepts(3, for: key))
    }
}
