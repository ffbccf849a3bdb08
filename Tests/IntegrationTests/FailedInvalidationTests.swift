import CacheUtils
import Memcached
import MemcachedProcess
import Synchronization
import TestSupport
import Testing

/// An invalidation that has failed is kept: what it names is invalid in its process at once, and in all when it has been
/// repeated.
@Suite("An invalidation that has failed", .timeLimit(.minutes(5)))
struct FailedInvalidationTests {
    /// Lets the pause before the next attempt end, until nothing is pending.
    private func repeated(_ bench: Bench) async throws {
        try await eventually {
            bench.clock.advance(by: .milliseconds(50))
            return bench.cache.pendingInvalidations.isEmpty
        }
    }

    /// A server that is stopped fails within a second.
    private var impatient: MemcachedStore.Configuration {
        var configuration = testConfiguration
        configuration.operationTimeout = .seconds(1)
        return configuration
    }

    enum Target: CaseIterable { case call, key, group, list }

    @Test(
        "names what it was for, is invalid here from then on, and everywhere once it was repeated",
        arguments: Target.allCases)
    func kept(target: Target) async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let (city, elsewhere) = (bench.city(), bench.city(in: bench.otherProcess()))
        let offer = { (cache: Cache) in
            try await cache.value(forKey: "offer", ttl: .seconds(60)) { try await bench.database.city("offer") }
        }
        #expect(try await city("paris").population == 1)
        #expect(try await offer(bench.cache).population == 1)
        await bench.settle()
        for slug in ["paris", "offer"] { await bench.database.update(slug, population: 2) }
        scripted.setDown(true)
        let error = await #expect(throws: (any Error).self) {
            switch target {
            case .call: try await city.invalidate("paris")
            case .key: try await bench.cache.invalidate(key: "offer")
            case .group: try await bench.cache.invalidate(group: "cities")
            case .list: try await bench.cache.invalidate(keys: ["offer"], groups: ["cities"])
            }
        }
        scripted.setDown(false)
        let names = bench.cache.pendingInvalidations
        #expect(names.count == (target == .list ? 2 : 1))
        // An error of the store's own is thrown as it is, where it is the only one.
        if target == .list { #expect(Set(names.map(\.key)) == Set((error as? CacheError)?.keys ?? [])) }
        #expect(
            names.allSatisfy { $0.failures == 1 && $0.error != nil && $0.isGroup == $0.key.description.contains("@") })
        // The old value stands there still: other processes may be served it, and this one is not.
        let isCity = target != .key
        #expect(try await elsewhere.peek("paris")?.population == 1)
        for _ in 1...2 {
            let answer = isCity ? try await city("paris") : try await offer(bench.cache)
            #expect(answer.population == 2)
        }
        try await repeated(bench)
        #expect(try await elsewhere.peek("paris")?.population == (isCity ? nil : 1))
        #expect(try await offer(bench.otherProcess()).population == ([.key, .list].contains(target) ? 2 : 1))
        #expect(bench.statistics.snapshot.failedInvalidations == (target == .list ? 2 : 1))
    }

    @Test("holds for what was being read when it was repeated", arguments: ["call", "many", "peek", "refresh"])
    func readMeanwhile(way: String) async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let city = bench.city()
        #expect(try await city("paris").population == 1)
        await bench.settle()
        await bench.database.update("paris", population: 2)
        scripted.next(.delete, .failBefore)
        await #expect(throws: ScriptedStore.Failure.self) { try await city.invalidate("paris") }
        let gate = Gate()
        scripted.next(.get, .pauseAfter(gate))
        let answer = Task {
            switch way {
            case "call": try await city("paris").population
            case "many": try await city.many(["paris"])[0].population
            case "peek": try await city.peek("paris")?.population ?? 2
            default: try await city.refresh("paris").population
            }
        }
        // The old value was read, is removed, and then the answer arrives.
        try await gate.arrival()
        try await repeated(bench)
        gate.open()
        #expect(try await answer.value == 2)
    }

    @Test("does not let a load that began before it be served to calls that begin after, stored or shared")
    func underWay() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let (gate, loads) = (Gate(), Counter())
        let value = bench.cache.cached("value", ttl: .seconds(60)) { try await loads.next(firstWaitsAt: gate) }
        let early = Task { try await value() }
        try await gate.arrival()
        scripted.next(.delete, .failBefore)
        await #expect(throws: ScriptedStore.Failure.self) { try await value.invalidate() }
        #expect(try await value() == 2)
        gate.open()
        #expect(try await early.value == 1)
        // It is stored by now, where this process does not look.
        try await eventually { bench.statistics.snapshot.fills == 1 }
        #expect(try await value() == 3)
        try await repeated(bench)
        #expect(try await value() == 4)
        await bench.settle()
        #expect(try await bench.otherProcess().cached("value", ttl: .seconds(60)) { 9 }() == 4)
    }

    @Test("is over when the next one of its like succeeds, and not when one does that began before it")
    func overtaken() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        let city = bench.city()
        let gate = Gate()
        scripted.next(.delete, .pauseAfter(gate))
        let before = Task { try await city.invalidate("paris") }
        try await gate.arrival()
        scripted.next(.delete, .failBefore)
        await #expect(throws: ScriptedStore.Failure.self) { try await city.invalidate("paris") }
        gate.open()
        try await before.value
        #expect(bench.cache.pendingInvalidations.count == 1)
        try await city.invalidate("paris")
        #expect(bench.cache.pendingInvalidations.isEmpty)
        // And it is not repeated any more.
        let deletes = scripted.count(.delete)
        bench.clock.advance(by: .seconds(10))
        await bench.settle()
        #expect(scripted.count(.delete) == deletes)
    }

    @Test("is tried once more by a cache that is drained, which says what was left")
    func drained() async throws {
        let scripted = ScriptedStore(InMemoryStore())
        let bench = Bench(scripted)
        scripted.setDown(true)
        await #expect(throws: ScriptedStore.Failure.self) { try await bench.city().invalidate("paris") }
        let left = await bench.cache.drain()
        #expect(left.hasEnded && !left.isComplete)
        #expect(left.pendingInvalidations.map(\.failures) == [2])
        #expect(left.pendingInvalidations.map(\.function) == ["City.get"])
        scripted.setDown(false)
        #expect(await bench.cache.drain().isComplete)
        #expect(scripted.count(.delete) == 3)
    }

    @Test("is given up when it is too old, which is an error in the log")
    func givenUp() async throws {
        let (scripted, clock) = (ScriptedStore(InMemoryStore()), ManualClock())
        let lost = Counter()
        let cache = Cache(
            store: scripted, namespace: "shop", clock: clock, observer: Losses(counter: lost),
            repeatsInvalidationsFor: .seconds(60))
        scripted.setDown(true)
        await #expect(throws: ScriptedStore.Failure.self) { try await cache.invalidate(group: "cities") }
        for _ in 1...50 {
            clock.advance(by: .seconds(1))
            await cache.drain()
            #expect(lost.value == 0 && cache.pendingInvalidations.count == 1)
        }
        try await eventually {
            clock.advance(by: .seconds(5))
            return lost.value == 1
        }
        #expect(cache.pendingInvalidations.isEmpty)
    }

    @Test("that is not to be repeated is tried once more by a drain that comes before it was given up, or not at all")
    func givenUpAtOnce() async throws {
        for _ in 1...50 {
            let scripted = ScriptedStore(InMemoryStore())
            let cache = Cache(
                store: scripted, namespace: "shop", clock: ManualClock(), repeatsInvalidationsFor: .zero)
            scripted.next(.delete, .failBefore)
            await #expect(throws: ScriptedStore.Failure.self) { try await cache.invalidate(key: "offer") }
            // Nothing is under way for ever.
            #expect(await cache.drain().hasEnded)
            #expect((1...2).contains(scripted.count(.delete)))
        }
    }

    private struct Losses: CacheObserver {
        let counter: Counter

        func record(_ event: CacheEvent) { if event.kind == .invalidationLost { counter.increment() } }
    }

    @Test("is repeated at the server that it failed for, and nowhere else, each time with another stamp")
    func whereItFailed() async throws {
        let servers = try (0..<3).map { _ in try MemcachedProcess() }
        let relays = try servers.map { try Relay(toPort: $0.port) }
        defer {
            for relay in relays { relay.stop() }
            for server in servers { server.stop() }
        }
        try await withServers(relays.map(\.address), configuration: impatient) { store async throws in
            let bench = Bench(store)
            let (city, elsewhere) = (bench.city(), bench.city(in: bench.otherProcess()))
            for number in 0..<30 { _ = try await city("\(number)") }
            await bench.settle()
            servers[1].suspend()
            let error = await #expect(throws: CacheError.self) { try await bench.cache.invalidate(group: "cities") }
            #expect(error?.message.contains(relays[1].address) == true)
            #expect(bench.cache.pendingInvalidations.count == 1)
            for relay in relays { relay.forgetLines() }
            // It comes back with its memory.
            servers[1].resume()
            for number in 0..<30 {
                await bench.database.update("\(number)", population: 2)
                #expect(try await city("\(number)").population == 2)
            }
            try await repeated(bench)
            for number in 0..<30 { #expect(try await elsewhere("\(number)").population == 2) }
            let stamps = relays.map { relay in relay.lines.count { $0.contains("set shop:@cities") } }
            #expect(stamps[0] == 0 && stamps[1] >= 1 && stamps[2] == 0)
        }
    }

    @Test("by a connection that is cut is kept too", arguments: [false, true])
    func cut(isGroup: Bool) async throws {
        let server = try MemcachedProcess()
        let relay = try Relay(toPort: server.port)
        defer {
            relay.stop()
            server.stop()
        }
        try await withServers([relay.address], configuration: impatient) { store async throws in
            let bench = Bench(store)
            let city = bench.city()
            _ = try await city("paris")
            await bench.settle()
            await bench.database.update("paris", population: 2)
            let before = relay.lines.count + relay.connectionCount
            server.suspend()
            let invalidation = Task {
                if isGroup {
                    try await bench.cache.invalidate(group: "cities")
                } else {
                    try await city.invalidate("paris")
                }
            }
            // It is under way, or waits for a connection.
            try await eventually { relay.lines.count + relay.connectionCount > before }
            relay.cut()
            await #expect(throws: CacheError.self) { try await invalidation.value }
            #expect(bench.cache.pendingInvalidations.count == 1)
            server.resume()
            #expect(try await city("paris").population == 2)
            try await repeated(bench)
            #expect(try await bench.city(in: bench.otherProcess())("paris").population == 2)
        }
    }
}
