import MintCache
import TestSupport
import Testing

@Suite("The in-memory store")
struct InMemoryStoreTests {
    private func key(_ number: Int) throws -> StoreKey { try StoreKey("key:\(number)") }

    /// What an item of ten bytes under a key of five takes.
    private let itemSize = 5 + 10 + InMemoryStore.overheadPerItem
    private let value = [UInt8](repeating: 0, count: 10)

    @Test("never takes more than its capacity")
    func bounded() async throws {
        let store = InMemoryStore(capacity: 10_000)
        for number in 0..<1000 {
            try await store.set(key(number), to: [UInt8](repeating: 0, count: number % 300), expiry: nil)
            #expect(store.byteCount <= 10_000)
        }
        #expect(store.count > 20)
    }

    @Test("counts bytes down again when items go")
    func accounting() async throws {
        let store = InMemoryStore()
        try await store.set(key(1), to: value, expiry: nil)
        #expect(store.byteCount == itemSize)
        try await store.set(key(1), to: [], expiry: nil)
        #expect(store.byteCount == itemSize - 10)
        #expect(try await store.delete(key(1)))
        #expect(store.byteCount == 0)
        #expect(store.count == 0)
    }

    @Test("evicts by SIEVE: what was never asked for again goes first, in the order in which it came")
    func sieve() async throws {
        let store = InMemoryStore(capacity: itemSize * 4)
        for number in 1...4 { try await store.set(key(number), to: value, expiry: nil) }
        _ = try await store.get(key(1))
        _ = try await store.get(key(3))
        // The hand passes 1, which was visited, and takes 2; then it passes 3 and takes 4.
        try await store.set(key(5), to: value, expiry: nil)
        try await store.set(key(6), to: value, expiry: nil)
        var left: [Int] = []
        for number in 1...6 where try await store.get(key(number)) != nil { left.append(number) }
        #expect(left == [1, 3, 5, 6])
    }

    @Test("keeps what is in use through a scan of what is not")
    func scanResistance() async throws {
        let store = InMemoryStore(capacity: itemSize * 100)
        for number in 100..<110 { try await store.set(key(number), to: value, expiry: nil) }
        for number in 110..<999 {
            for hot in 100..<110 { _ = try await store.get(key(hot)) }
            try await store.set(key(number), to: value, expiry: nil)
        }
        for hot in 100..<110 { #expect(try await store.get(key(hot)) != nil) }
    }

    @Test("forgets an item when its time is over, and not before")
    func expiry() async throws {
        let clock = ManualClock()
        let store = InMemoryStore(clock: clock)
        try await store.set(key(1), to: value, expiry: .milliseconds(10))
        clock.advance(by: .milliseconds(9))
        #expect(try await store.get(key(1)) != nil)
        clock.advance(by: .milliseconds(1))
        #expect(try await store.get(key(1)) == nil)
        #expect(store.count == 0)
        #expect(try await store.add(key(1), value, expiry: nil))
    }

    @Test("refuses a value that can never fit, and what stood there is gone, as in memcached")
    func tooLarge() async throws {
        let store = InMemoryStore(capacity: itemSize)
        try await store.set(key(1), to: value, expiry: nil)
        let error = await #expect(throws: CacheError.self) {
            try await store.set(key(1), to: [UInt8](repeating: 0, count: 11), expiry: nil)
        }
        #expect(error?.code == .valueTooLarge)
        #expect(try await store.get(key(1)) == nil)
    }

    @Test("gives no CAS id twice, not even after a flush")
    func casAfterFlush() async throws {
        let store = InMemoryStore()
        try await store.set(key(1), to: value, expiry: nil)
        let before = try #require(try await store.get(key(1)))
        store.flush()
        #expect(store.count == 0)
        try await store.set(key(1), to: value, expiry: nil)
        #expect(try await !store.compareAndSwap(key(1), expecting: before.cas, with: [], expiry: nil))
    }
}
