import CacheUtils
import Memcached
import MemcachedProcess
import TestSupport
import Testing

/// Writes that leave with what is read, and are read back.
@Suite("A write that is read back", .timeLimit(.minutes(5)))
struct ReadBackTests {
    @Test("has a CAS id that the next write may expect, without a read between", arguments: StoreKind.everyStore)
    func told(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let key = try StoreKey("key")
            for number in UInt8(0)..<20 {
                _ = try await store.delete(key)
                let first = try await store.writeUnique(key, value: [number, 1], over: nil, expiry: nil)
                #expect(first.isStored)
                #expect(try await !store.writeUnique(key, value: [number, 2], over: nil, expiry: nil).isStored)
                guard let cas = first.cas else { continue }
                // A connection that was opened after the id was told does not take it.
                var second = try await store.writeUnique(key, value: [number, 3], over: cas, expiry: nil)
                if !second.isStored, let item = try await store.get(key) {
                    #expect(item.bytes == [number, 1])
                    second = try await store.writeUnique(key, value: [number, 3], over: item.cas, expiry: nil)
                }
                #expect(second.isStored)
                #expect(try await !store.writeUnique(key, value: [number, 4], over: cas, expiry: nil).isStored)
                #expect(try await store.get(key)?.bytes == [number, 3])
            }
        }
    }

    @Test("is won by one of many, and each is told right", arguments: StoreKind.everyStore)
    func contention(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            for round in 0..<20 {
                let key = try StoreKey("key:\(round)")
                let winners = try await withThrowingTaskGroup(of: UInt8?.self) { group in
                    for number in UInt8(0)..<50 {
                        group.addTask {
                            try await store.writeUnique(key, value: [number], over: nil, expiry: nil).isStored
                                ? number : nil
                        }
                    }
                    return try await group.reduce(into: [UInt8]()) { if let number = $1 { $0.append(number) } }
                }
                #expect(winners.count == 1)
                #expect(try await store.get(key)?.bytes == winners)
            }
        }
    }

    @Test("of any size is stored, read back or acknowledged")
    func sizes() async throws {
        try await withMemcached { store, _ async throws in
            for size in [0, 1, 100, 4095, 4096, 4097, 100_000, 1_000_000] {
                let key = try StoreKey("key:\(size)")
                let value = [UInt8](repeating: 7, count: size)
                #expect(try await store.writeUnique(key, value: value, over: nil, expiry: nil).isStored)
                let item = try #require(try await store.get(key))
                #expect(item.bytes == value)
                #expect(try await store.writeUnique(key, value: value + [1], over: item.cas, expiry: nil).isStored)
            }
        }
    }

    @Test("to a full server is refused, and the connection stays in step")
    func full() async throws {
        try await withMemcached(options: ["-M", "-m", "2"]) { store, _ async throws in
            let kept = try StoreKey("kept")
            #expect(try await store.writeUnique(kept, value: [1], over: nil, expiry: nil).isStored)
            let item = try #require(try await store.get(kept))
            var isFull = false
            for number in 0..<3000 where !isFull {
                let key = try StoreKey("key:\(number)")
                let value = [UInt8](repeating: 1, count: 4000)
                isFull = try await store.writeUnique(key, value: value, over: nil, expiry: nil) == .gone
            }
            #expect(isFull)
            // A swap asks for room of its class before it looks.
            let error = await #expect(throws: CacheError.self) {
                try await store.writeUnique(
                    kept, value: [UInt8](repeating: 2, count: 4000), over: item.cas, expiry: nil)
            }
            #expect(error?.code == .storeFailure)
            #expect(try await store.get(kept)?.bytes == [1])
            #expect(try await store.delete(kept))
            #expect(try await store.get(kept) == nil)
            // The library's own connections too.
            let bench = Bench(store)
            #expect(try await bench.city()("paris").name == "paris")
        }
    }

    @Test("of values that are not unique is not read back: who comes second has not stored")
    func notUnique() async throws {
        try await withMemcached { store, _ async throws in
            let key = try StoreKey("lock")
            #expect(try await store.add(key, value: [1], expiry: nil).isStored)
            #expect(try await !store.add(key, value: [1], expiry: nil).isStored)
            let item = try #require(try await store.get(key))
            #expect(try await store.compareAndSwap(key, expecting: item.cas, value: [1], expiry: nil).isStored)
            #expect(try await !store.compareAndSwap(key, expecting: item.cas, value: [1], expiry: nil).isStored)
        }
    }

    @Test("that is gone when it is read back is a load without a lease, and no trouble of the store")
    func gone() async throws {
        let bench = Bench(GoneStore(base: InMemoryStore()))
        for number in 1...3 { #expect(try await bench.city()("\(number)").name == "\(number)") }
        await bench.settle()
        #expect(bench.statistics.snapshot.storeTroubles == 0)
        #expect(bench.statistics.snapshot.loads == 3)
    }

    @Test("costs three round trips for a miss, and the caller waits for two")
    func roundTrips() async throws {
        try await withMemcached { store, _ async throws in
            let scripted = ScriptedStore(store, tellsIDs: true)
            let bench = Bench(scripted)
            let city = bench.city(groups: [])
            // Until all connections are open.
            for number in 0..<10 { _ = try await city("warm \(number)") }
            await bench.settle()
            scripted.resetCounts()
            _ = try await city("paris")
            await bench.settle()
            #expect(scripted.roundTrips == 3)
            #expect(try await city.peek("paris") != nil)
        }
    }
}

/// Loses each lease before it is read back.
private struct GoneStore: ForwardingStore {
    let base: any CacheStore

    func writeUnique(
        _ key: StoreKey, value: [UInt8], over cas: StoreItem.CAS?, expiry: Duration?
    ) async throws -> StoreWrite {
        if cas == nil, !key.description.contains("@") { return .gone }
        return try await base.writeUnique(key, value: value, over: cas, expiry: expiry)
    }
}
