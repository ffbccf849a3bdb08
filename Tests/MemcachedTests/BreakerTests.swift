import MintCache
import Synchronization
import TestSupport
import Testing

@testable import Memcached

@Suite("A breaker")
struct BreakerTests {
    private let second: UInt64 = 1_000_000_000

    @Test("opens after some time-outs in a row, and an answer in between starts the count anew")
    func opening() {
        var breaker = Breaker(failuresToOpen: 3)
        breaker.fail(at: 1, isConnecting: false)
        breaker.fail(at: 2, isConnecting: false)
        breaker.succeed()
        breaker.fail(at: 3, isConnecting: false)
        breaker.fail(at: 4, isConnecting: false)
        #expect(!breaker.isOpen)
        breaker.fail(at: 5, isConnecting: false)
        #expect(breaker.isOpen)
        breaker.succeed()
        #expect(!breaker.isOpen && breaker.probeAt == nil)
    }

    @Test("does not count failures that are far apart")
    func window() {
        var breaker = Breaker(failuresToOpen: 2)
        breaker.fail(at: second, isConnecting: false)
        breaker.fail(at: 12 * second, isConnecting: false)
        #expect(!breaker.isOpen)
        breaker.fail(at: 13 * second, isConnecting: false)
        #expect(breaker.isOpen)
    }

    @Test("opens at once when the server cannot be connected to")
    func connecting() {
        var breaker = Breaker(failuresToOpen: 3)
        breaker.fail(at: 1, isConnecting: true)
        #expect(breaker.isOpen)
    }

    @Test("has the server probed after pauses that grow to a second, and not by what was under way")
    func probing() throws {
        var breaker = Breaker(failuresToOpen: 1)
        breaker.fail(at: second, isConnecting: false)
        var pauses: [UInt64] = []
        var time = second
        for _ in 1...6 {
            let probe = try #require(breaker.probeAt)
            pauses.append((probe - time) / 1_000_000)
            // An exchange that was under way ends too.
            breaker.fail(at: probe - 1, isConnecting: false)
            #expect(breaker.probeAt == probe)
            breaker.fail(at: probe, isConnecting: true)
            time = probe
        }
        #expect(pauses == [100, 200, 400, 800, 1000, 1000])
    }
}

@Suite("A probe", .timeLimit(.minutes(5)))
struct ProbeTests {
    @Test("that is refused puts off the next one")
    func refused() async throws {
        let state = ServerState(try MemcachedServer("nowhere:1"), failuresToOpen: 1) { _ in
            throw CacheError(.unavailable, "refused")
        }
        let connection = Connection(state, .init(MemcachedStore.Configuration(), isAcknowledged: false))
        #expect(throws: CacheError.self) { try connection.probe() }
        try await eventually { state.untilProbe == 0 }
        #expect(throws: CacheError.self) { try connection.probe() }
        #expect(state.untilProbe.map { $0 > 0 } == true)
    }
}

@Suite("What is known of a server")
struct ServerStateTests {
    private func state(_ lookUps: Counter = Counter()) throws -> ServerState {
        ServerState(try MemcachedServer("cache:1"), failuresToOpen: 2) { _ in
            lookUps.increment()
            return ["127.0.0.1"]
        }
    }

    @Test("by a check is of the server that it was made with, and one that was refused stays so until a check passes")
    func check() throws {
        let state = try state()
        state.note(.passed, isProxied: true, of: 0)
        #expect(state.casCheck == .passed && state.isProxied)
        // A connection breaks: there may be another server.
        state.noteBreak(of: 0)
        #expect(state.casCheck == .open)
        state.note(.failed, of: 0)
        #expect(state.casCheck == .open)
        state.note(.failed, of: 1)
        state.forgetCheck()
        state.note(.open, of: 1)
        #expect(state.casCheck == .failed)
        state.note(.passed, of: 1)
        #expect(state.casCheck == .passed && !state.isProxied)
    }

    @Test("is nothing by an attempt that had no time: neither is its address left, nor the breaker opened")
    func noTime() throws {
        let lookUps = Counter()
        let state = try state(lookUps)
        let connection = Connection(state, .init(MemcachedStore.Configuration(), isAcknowledged: false))
        // Its exchange began long ago.
        for _ in 1...2 {
            let error = #expect(throws: CacheError.self) { try connection.open() }
            #expect(error?.code == .timeout)
            state.succeed()
        }
        #expect(!state.isOpen && state.address.generation == 0 && lookUps.value == 1)
    }
}

@Suite("The address of a server")
struct ServerAddressTests {
    private func address(_ resolve: @escaping ServerAddress.Resolver) throws -> ServerAddress {
        ServerAddress(of: try MemcachedServer("cache:11211"), resolve: resolve)
    }

    @Test("is looked up once for all, and all move on together")
    func movingOn() throws {
        let address = try address { $0 == "cache" ? ["a", "b", "c"] : [] }
        let first = try address.current()
        #expect(try address.current() == first && first.host == "a")
        let second = try #require(address.moveOn(from: first))
        #expect(second.host == "b" && address.generation == second.generation)
        // Another connection finds out about the first one later.
        #expect(address.moveOn(from: first) == second)
        let third = try #require(address.moveOn(from: second))
        #expect(try address.current() == third && third.host == "c")
        // After the last one the name is looked up anew.
        #expect(address.moveOn(from: third) == nil)
        // And no connection stays where it is.
        #expect(address.generation > third.generation)
        #expect(try address.current().host == "a")
    }

    @Test("is looked up anew when a connection broke, once, and then all connections are renewed")
    func renewing() throws {
        let lookUps = Lines()
        let address = try address { _ in ["host\(lookUps.next())"] }
        let first = try address.current()
        address.renew(from: first.generation)
        #expect(address.generation > first.generation)
        // The others' connections broke too.
        address.renew(from: first.generation)
        #expect(try address.current().host == "host2")
        #expect(address.generation == first.generation + 1)
    }

    @Test("that was looked up before a connection broke is looked up again")
    func overtaken() throws {
        let lookUps = Counter()
        let own = Mutex<ServerAddress?>(nil)
        let address = try address { _ in
            if lookUps.increment() > 1 { return ["new"] }
            // A connection of another thread breaks meanwhile.
            own.withLock { $0 }?.renew(from: 0)
            return ["old"]
        }
        own.withLock { $0 = address }
        #expect(try address.current() == .init(host: "new", generation: 1))
        own.withLock { $0 = nil }
    }

    @Test("of a name without one is an error that names it")
    func nothing() throws {
        let address = try address { _ in [] }
        let error = #expect(throws: CacheError.self) { try address.current() }
        #expect(error?.message.contains("cache") == true)
    }

    @Test("of localhost and of numbers is what the system says")
    func system() throws {
        #expect(try ServerAddress.lookUp("127.0.0.1") == ["127.0.0.1"])
        #expect(try ServerAddress.lookUp("::1") == ["::1"])
        #expect(try ServerAddress.lookUp("localhost").contains("127.0.0.1"))
    }
}

private final class Lines: Sendable {
    private let counter = Counter()

    func next() -> Int { counter.increment() }
}
