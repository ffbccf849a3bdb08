import CacheUtils
import MemcachedProcess
import TestSupport
import Testing

@testable import Memcached

/// Fleets whose list of servers changes while they are in use.
@Suite("A list of servers that changes in use", .timeLimit(.minutes(5)))
struct ServerUpdateTests {
    private typealias Process = ServerListTests.Process
    private typealias Rows = ServerListTests.Rows

    /// A server that is in no list any more is closed after this time-out.
    private var configuration: MemcachedStore.Configuration {
        MemcachedStore.Configuration(operationTimeout: .seconds(3), connectTimeout: .seconds(3))
    }

    /// What a process is told at one step.
    private struct Step {
        var current: ServerList
        var previous: ServerList?
        var next: ServerList?

        /// All steps from the first list to the last one.
        static func all(_ lists: [ServerList]) -> [Step] {
            var steps = [Step(current: lists[0])]
            for (before, list) in zip(lists, lists.dropFirst()) {
                steps += [
                    Step(current: before, next: list), Step(current: list, previous: before), Step(current: list),
                ]
            }
            return steps
        }

        func take(_ store: MemcachedStore) async throws {
            try await store.update(servers: current, previous: previous, next: next)
        }
    }

    @Test("brings nothing invalidated back in processes that run on, one a step ahead of the other")
    func steps() async throws {
        try await ServerListTests.withServers(3) { addresses async throws in
            let lists = try [
                ServerList(Array(addresses[..<2]), number: 1), ServerList(addresses, number: 2),
                ServerList([addresses[2], addresses[0]], number: 3), ServerList(Array(addresses[..<2]), number: 4),
            ]
            let rows = Rows()
            let processes = try (0..<2).map { _ in
                Process(try MemcachedStore(current: lists[0], configuration: configuration), rows)
            }
            var versions = [Int](repeating: 0, count: 40)
            for (index, step) in Step.all(lists).enumerated() {
                for ahead in processes {
                    try await step.take(ahead.store)
                    try await ServerListTests.change(rows, &versions, at: index, in: processes)
                }
            }
            for process in processes { await process.store.shutdown() }
        }
    }

    @Test("loses no call and no connection while it is changed under load, and moves its share of keys")
    func underLoad() async throws {
        let servers = try (0..<3).map { _ in try MemcachedProcess() }
        defer { for server in servers { server.stop() } }
        let idle = try servers.map { try $0.connectionCount() }
        let addresses = servers.map(\.address)
        let lists = try [
            ServerList(addresses, number: 1), ServerList(Array(addresses[..<2]), number: 2),
            ServerList(addresses, number: 3),
        ]
        let rows = Rows()
        let process = Process(try MemcachedStore(current: lists[0], configuration: configuration), rows)
        let (row, grouped) = (process.row, process.grouped)
        for number in 0..<300 { _ = try await (row(number), grouped(number)) }
        await process.cache.drain()
        let isOver = Counter()
        try await withThrowingTaskGroup { group in
            for task in 0..<64 {
                group.addTask {
                    var number = task
                    while isOver.value == 0 {
                        number = (number + 7) % 300
                        let values = [try await row(number), try await grouped(number)]
                        #expect(values == [0, 0])
                    }
                }
            }
            let steps = Step.all(lists)
            for step in steps[..<2] { try await step.take(process.store) }
            let before = await rows.reads
            try await steps[2].take(process.store)
            for number in 0..<300 { _ = try await (row(number), grouped(number)) }
            // A third of the keys was on the server that goes.
            let moved = await rows.reads - before
            #expect(moved > 100 && moved < 320)
            try await steps[3].take(process.store)
            isOver.increment()
            try await group.waitForAll()
        }
        await process.cache.drain()
        #expect(process.store.status.map(\.server.description) == Array(addresses[..<2]))
        try await eventually { try servers[2].connectionCount() == idle[2] }
        for step in Step.all(lists).dropFirst(4) { try await step.take(process.store) }
        for number in 0..<300 { #expect(try await row(number) == 0) }
        #expect(try servers[2].connectionCount() > idle[2])
        await process.store.shutdown()
        for (server, idle) in zip(servers, idle) { try await eventually { try server.connectionCount() == idle } }
    }

    @Test("has a load end where it began, for the processes that read there still, and for no other")
    func loadUnderWay() async throws {
        try await ServerListTests.withServers(2) { addresses async throws in
            let lists = try [ServerList([addresses[0]], number: 1), ServerList([addresses[1]], number: 2)]
            let steps = Step.all(lists)
            let stores = try (0..<2).map { _ in
                try MemcachedStore(current: lists[0], next: lists[1], configuration: configuration)
            }
            let (gate, loads) = (Gate(), Counter())
            let functions = stores.map { store in
                Cache(store: store, namespace: "shop").cached("value", ttl: .seconds(60)) {
                    try await loads.next(firstWaitsAt: gate)
                }
            }
            let first = Task { try await functions[0]() }
            try await gate.arrival()
            try await steps[2].take(stores[0])
            gate.open()
            #expect(try await first.value == 1)
            try await eventually { try await stores[1].get(functions[1].key()).map { $0.value.count > 40 } == true }
            #expect(try await functions[1]() == 1)
            #expect(try await functions[0]() == 2)
            for store in stores { await store.shutdown() }
        }
    }

    @Test("ends the invalidations that were pending for a server that has gone")
    func pending() async throws {
        let servers = try (0..<2).map { _ in try MemcachedProcess() }
        defer { for server in servers { server.stop() } }
        let addresses = servers.map(\.address)
        let lists = try [ServerList(addresses, number: 1), ServerList([addresses[0]], number: 2)]
        let statistics = CacheStatistics()
        let store = try MemcachedStore(current: lists[0], configuration: configuration)
        let cache = Cache(store: store, namespace: "shop", observer: statistics, troubleLevel: nil)
        servers[1].stop()
        await #expect(throws: CacheError.self) { try await cache.invalidate(group: "rows") }
        #expect(cache.pendingInvalidations.count == 1)
        for step in Step.all(lists) { try await step.take(store) }
        #expect(await cache.drain().isComplete)
        #expect(cache.pendingInvalidations.isEmpty && statistics.snapshot.lostInvalidations == 0)
        try await cache.invalidate(group: "rows")
        await store.shutdown()
    }

    @Test("takes one step after the other, and is as it was after one that is none")
    func refusals() async throws {
        let lists = try (1...3).map { try ServerList(["127.0.0.\($0)"], number: UInt32($0)) }
        let store = try MemcachedStore(current: lists[0])
        func refuse(_ step: Step) async {
            let before = store.status.map(\.server)
            let error = await #expect(throws: CacheError.self) { try await step.take(store) }
            #expect(error?.code == .invalidServer, "\(error?.message ?? "")")
            #expect(store.status.map(\.server) == before)
        }
        let other = try ServerList(["127.0.0.9"], number: 1)
        for step in [
            Step(current: lists[1], previous: lists[0]), Step(current: lists[1]), Step(current: other),
            Step(current: lists[0], next: lists[2]), Step(current: try ServerList([], number: 1)),
        ] {
            await refuse(step)
        }
        // The same again is no step, and no error.
        try await Step(current: lists[0]).take(store)
        try await Step(current: lists[0], next: lists[1]).take(store)
        await refuse(Step(current: lists[0]))
        await refuse(Step(current: lists[1]))
        try await Step(current: lists[1], previous: lists[0]).take(store)
        await refuse(Step(current: lists[1], next: lists[2]))
        await refuse(Step(current: lists[0]))
        try await Step(current: lists[1]).take(store)
        #expect(store.status.map(\.server.description) == ["127.0.0.2:11211"] && store.listNumber == 2)
        let error = await #expect(throws: CacheError.self) { try await store.update(servers: ["127.0.0.1"]) }
        #expect(error?.code == .invalidServer)
        await store.shutdown()
        let late = await #expect(throws: CacheError.self) {
            try await Step(current: lists[1], next: lists[2]).take(store)
        }
        #expect(late?.code == .shutDown)
    }

    @Test("without a number is changed at once")
    func withoutNumber() async throws {
        try await ServerListTests.withServers(3) { addresses async throws in
            let store = try MemcachedStore(servers: Array(addresses[..<2]), configuration: configuration)
            let key = try StoreKey("key")
            try await store.set(key, value: [1], expiry: nil)
            try await store.update(servers: [addresses[2]])
            #expect(try await store.get(key) == nil)
            try await store.update(servers: addresses)
            let places = try Set((0..<50).map { store.server(of: try StoreKey("key\($0)")) })
            #expect(places == [0, 1, 2])
            await store.shutdown()
        }
    }
}
