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
            try await store.set(key(number), value: [UInt8](repeating: 0, count: number % 300), expiry: nil)
            #expect(store.byteCount <= 10_000)
        }
        #expect(store.count > 20)
    }

    @Test("counts bytes down again when items go")
    func accounting() async throws {
        let store = InMemoryStore()
        try await store.set(key(1), value: value, expiry: nil)
        #expect(store.byteCount == itemSize)
        try await store.set(key(1), value: [], expiry: nil)
        #expect(store.byteCount == itemSize - 10)
        #expect(try await store.delete(key(1)))
        #expect(store.byteCount == 0)
        #expect(store.count == 0)
    }

    @Test("evicts by S3-FIFO: what was used twice stays, the rest goes in the order in which it came")
    func queues() async throws {
        let store = InMemoryStore(capacity: itemSize * 4)
        for number in 1...4 { try await store.set(key(number), value: value, expiry: nil) }
        for _ in 1...2 { _ = try await store.get(key(1)) }
        _ = try await store.get(key(3))
        // 1 moves to the main queue, 2 and 3 leave.
        try await store.set(key(5), value: value, expiry: nil)
        try await store.set(key(6), value: value, expiry: nil)
        #expect(try await left(of: 1...6, in: store) == [1, 4, 5, 6])
    }

    private func left(of numbers: ClosedRange<Int>, in store: InMemoryStore) async throws -> [Int] {
        var left: [Int] = []
        for number in numbers where try await store.getForUpdate(key(number)) != nil { left.append(number) }
        return left
    }

    @Test("does not take a write, or the read that belongs to it, for a use")
    func writesAreNoUses() async throws {
        let store = InMemoryStore(capacity: itemSize * 4)
        for number in 1...4 { #expect(try await store.add(key(number), value: value, expiry: nil).isStored) }
        for _ in 1...3 {
            for number in 1...2 {
                let item = try #require(try await store.getForUpdate(key(number)))
                #expect(
                    try await store.compareAndSwap(key(number), expecting: item.cas, value: value, expiry: nil).isStored
                )
                #expect(try await !store.add(key(number), value: value, expiry: nil).isStored)
                try await store.set(key(number), value: value, expiry: nil)
            }
        }
        for number in 5...6 { try await store.set(key(number), value: value, expiry: nil) }
        #expect(try await left(of: 1...6, in: store) == [3, 4, 5, 6])
    }

    @Test("has room for what comes now, however much was used before", arguments: [1, 2, 5])
    func makesRoomFirst(uses: Int) async throws {
        let store = InMemoryStore(capacity: itemSize * 1000)
        for number in 1000..<2000 { try await store.set(key(number), value: value, expiry: nil) }
        for _ in 0..<uses { for number in 1000..<1999 { _ = try await store.get(key(number)) } }
        var hits = 0
        for _ in 0..<20 {
            for number in 2000..<2500 {
                if try await store.get(key(number)) != nil { hits += 1; continue }
                try await store.set(key(number), value: value, expiry: nil)
            }
        }
        // Nineteen of twenty rounds, or two fewer, where the old ones are let go by and by.
        #expect(hits >= (uses == 1 ? 9500 : 8500), "\(hits) of 10,000")
    }

    @Test("stays within its capacity and keeps what is written when items grow")
    func growing() async throws {
        let store = InMemoryStore(capacity: itemSize * 10)
        for round in 0..<200 {
            let number = round * 7 % 13
            let size = round * 31 % (itemSize * 9)
            try await store.set(key(number), value: [UInt8](repeating: 1, count: size), expiry: nil)
            #expect(try await store.get(key(number))?.value.count == size)
            #expect(store.byteCount <= itemSize * 10)
            var sum = 0
            for number in 0..<13 {
                guard let item = try await store.getForUpdate(key(number)) else { continue }
                sum += item.value.count + "key:\(number)".utf8.count + InMemoryStore.overheadPerItem
            }
            #expect(store.byteCount == sum)
        }
    }

    @Test("keeps what is in use through a scan of what is not")
    func scanResistance() async throws {
        let store = InMemoryStore(capacity: itemSize * 100)
        for number in 100..<110 { try await store.set(key(number), value: value, expiry: nil) }
        for number in 110..<999 {
            for hot in 100..<110 { _ = try await store.get(key(hot)) }
            try await store.set(key(number), value: value, expiry: nil)
        }
        for hot in 100..<110 { #expect(try await store.get(key(hot)) != nil) }
    }

    @Test("forgets an item when its time is over, and not before")
    func expiry() async throws {
        let clock = ManualClock()
        let store = InMemoryStore(clock: clock)
        try await store.set(key(1), value: value, expiry: .milliseconds(10))
        clock.advance(by: .milliseconds(9))
        #expect(try await store.get(key(1)) != nil)
        clock.advance(by: .milliseconds(1))
        #expect(try await store.get(key(1)) == nil)
        #expect(store.count == 0)
        #expect(try await store.add(key(1), value: value, expiry: nil).isStored)
    }

    @Test("refuses a value that can never fit, and what stood there is gone, as in memcached")
    func tooLarge() async throws {
        let store = InMemoryStore(capacity: itemSize)
        try await store.set(key(1), value: value, expiry: nil)
        let error = await #expect(throws: CacheError.self) {
            try await store.set(key(1), value: [UInt8](repeating: 0, count: 11), expiry: nil)
        }
        #expect(error?.code == .valueTooLarge)
        #expect(try await store.get(key(1)) == nil)
    }

    @Test("gives no CAS id twice, not even after a flush")
    func casAfterFlush() async throws {
        let store = InMemoryStore()
        try await store.set(key(1), value: value, expiry: nil)
        let before = try #require(try await store.get(key(1)))
        store.flush()
        #expect(store.count == 0)
        try await store.set(key(1), value: value, expiry: nil)
        #expect(try await !store.compareAndSwap(key(1), expecting: before.cas, value: [], expiry: nil).isStored)
    }
}
