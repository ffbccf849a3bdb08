import CacheUtils
import TestSupport
import Testing

/// What the key protocol counts on in a store, whichever it is.
@Suite("Every store", .timeLimit(.minutes(5)))
struct StoreConformanceTests {
    private let key = StoreKey(trusted: Array("conformance:key".utf8))
    private let other = StoreKey(trusted: Array("conformance:other".utf8))

    @Test("returns what was set, with a CAS id", arguments: StoreKind.everyStore)
    func set(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            #expect(try await store.get(key) == nil)
            try await store.set(key, value: [1, 2, 3], expiry: nil)
            #expect(try await store.get(key)?.bytes == [1, 2, 3])
            try await store.set(key, value: [4], expiry: .seconds(60))
            #expect(try await store.get(key)?.bytes == [4])
        }
    }

    @Test(
        "returns several items in the order of their keys, repeated and missing ones included",
        arguments: StoreKind.everyStore
    )
    func multiGet(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            try await store.set(key, value: [1], expiry: nil)
            try await store.set(other, value: [2], expiry: nil)
            let missing = try StoreKey("conformance:missing")
            let items = try await store.get([other, missing, key, other])
            #expect(items.map(\.?.bytes) == [[2], nil, [1], [2]])
            #expect(try await store.get([]).isEmpty)
        }
    }

    @Test("returns an item and those beside it", arguments: StoreKind.everyStore)
    func getWith(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let keys = try (0..<20).map { try StoreKey("conformance:\($0)") }
            for part in store.parts {
                for (number, key) in keys.enumerated() where !number.isMultiple(of: 4) {
                    try await part.store.set(key, value: [UInt8(number)], expiry: nil)
                }
            }
            for number in keys.indices {
                let expected = keys.indices.map { $0.isMultiple(of: 4) ? nil : [UInt8($0)] }
                let (item, others) = try await store.get(keys[number], with: keys)
                #expect(item?.bytes == expected[number])
                #expect(others.map(\.?.bytes) == expected)
                #expect(try await store.get(keys[number], with: []).item?.bytes == expected[number])
            }
        }
    }

    @Test("writes values beside an item before it reads them", arguments: StoreKind.everyStore)
    func getAfter(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            for number in UInt8(0)..<20 {
                let key = try StoreKey("conformance:\(number)")
                let part = store.part(of: key).store
                let (free, taken) = try (StoreKey("free:\(number)"), StoreKey("taken:\(number)"))
                _ = try await part.add(taken, value: [1], expiry: nil)
                let writes = [UniqueValue(free, value: [number, 2]), UniqueValue(taken, value: [number, 3])]
                let others = try await store.get(key, with: [taken, free], after: writes).others
                #expect(others.map(\.?.bytes) == [[1], [number, 2]])
                let over = [UniqueValue(taken, value: [number, 4], over: others[0]?.cas)]
                #expect(try await store.get(key, with: [taken], after: over).others.map(\.?.bytes) == [[number, 4]])
                #expect(try await part.get(free)?.bytes == [number, 2])
            }
        }
    }

    @Test("is made of parts, each of which holds any key", arguments: StoreKind.everyStore)
    func parts(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let keys = try (0..<20).map { try StoreKey("conformance:\($0)") }
            for key in keys {
                #expect(store.parts(of: key).map(\.id) == [store.part(of: key).id])
                for (index, part) in store.parts.enumerated() {
                    try await part.store.set(key, value: [UInt8(index)], expiry: nil)
                }
                #expect(try await store.get(key)?.bytes == [UInt8(store.server(of: key))])
                for part in store.parts {
                    let others = try await part.store.get(key, with: keys).others
                    #expect(try await others.map(\.?.bytes) == part.store.get(keys).map(\.?.bytes))
                    #expect(try await part.store.delete(key))
                }
            }
        }
    }

    @Test("adds only where nothing stands", arguments: StoreKind.everyStore)
    func add(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            #expect(try await store.add(key, value: [1], expiry: nil).isStored)
            #expect(try await !store.add(key, value: [2], expiry: nil).isStored)
            #expect(try await store.get(key)?.bytes == [1])
        }
    }

    @Test("swaps only the item that was read", arguments: StoreKind.everyStore)
    func compareAndSwap(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            try await store.set(key, value: [1], expiry: nil)
            let first = try #require(try await store.get(key))
            #expect(try await store.compareAndSwap(key, expecting: first.cas, value: [2], expiry: nil).isStored)
            #expect(try await !store.compareAndSwap(key, expecting: first.cas, value: [3], expiry: nil).isStored)
            let second = try #require(try await store.get(key))
            #expect(second.value == [2])
            _ = try await store.delete(key)
            #expect(try await !store.compareAndSwap(key, expecting: second.cas, value: [4], expiry: nil).isStored)
            #expect(try await store.get(key) == nil)
            // The same bytes under the same key again are another item.
            try await store.set(key, value: [2], expiry: nil)
            #expect(try await !store.compareAndSwap(key, expecting: second.cas, value: [5], expiry: nil).isStored)
        }
    }

    @Test("deletes, and says whether there was anything", arguments: StoreKind.everyStore)
    func delete(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            try await store.set(key, value: [1], expiry: nil)
            #expect(try await store.delete(key))
            #expect(try await !store.delete(key))
            #expect(try await store.get(key) == nil)
        }
    }

    @Test("keeps empty values apart from no value", arguments: StoreKind.everyStore)
    func emptyValue(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            try await store.set(key, value: [], expiry: nil)
            let item = try #require(try await store.get(key))
            #expect(item.bytes.isEmpty)
            #expect(try await store.compareAndSwap(key, expecting: item.cas, value: [], expiry: nil).isStored)
            #expect(try await store.get([key, other]).map(\.?.bytes) == [[], nil])
        }
    }

    @Test("keeps values whose bytes look like the protocol", arguments: StoreKind.everyStore)
    func hostileValue(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let value = Array("END\r\nVALUE x 0 1\r\nZ\r\nERROR\r\n\0".utf8)
            try await store.set(key, value: value, expiry: nil)
            #expect(try await store.get(key)?.bytes == value)
        }
    }

    @Test("takes keys of 250 bytes of any UTF-8", arguments: StoreKind.everyStore)
    func longKeys(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let cyrillic = try StoreKey(String(repeating: "ж", count: 125))
            let digits = try StoreKey(String(repeating: "9", count: 250))
            try await store.set(cyrillic, value: [1], expiry: nil)
            try await store.set(digits, value: [2], expiry: nil)
            #expect(try await store.get([digits, cyrillic]).map(\.?.bytes) == [[2], [1]])
        }
    }

    @Test("refuses an expiry that is not positive, and keeps what stood there", arguments: StoreKind.everyStore)
    func badExpiry(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            try await store.set(key, value: [1], expiry: nil)
            for expiry in [Duration.zero, .seconds(-1)] {
                await #expect(throws: CacheError.self) { try await store.set(key, value: [2], expiry: expiry) }
                await #expect(throws: CacheError.self) { try await store.add(other, value: [2], expiry: expiry) }
            }
            #expect(try await store.get([key, other]).map(\.?.bytes) == [[1], nil])
        }
    }

    @Test("keeps items with expiries from a millisecond to a century", arguments: StoreKind.everyStore)
    func longExpiry(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let day = 24 * 60 * 60
            for (index, expiry) in [
                Duration.seconds(30 * day - 2), .seconds(30 * day), .seconds(31 * day), .seconds(36_500 * day),
            ]
            .enumerated() {
                let key = try StoreKey("expiry:\(index)")
                try await store.set(key, value: [1], expiry: expiry)
                #expect(try await store.get(key) != nil, "lost at \(expiry)")
            }
        }
    }

    @Test("holds a value just under 1 MiB", arguments: StoreKind.everyStore)
    func largeValue(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let value = [UInt8](repeating: 7, count: 1024 * 1024 - 1024)
            try await store.set(key, value: value, expiry: nil)
            #expect(try await store.get(key)?.bytes == value)
        }
    }

    @Test("answers a thousand concurrent reads each with its own item", arguments: StoreKind.everyStore)
    func concurrentReads(kind: StoreKind) async throws {
        try await kind.withStore { store async throws in
            let keys = try (0..<300).map { try StoreKey("many:\($0)") }
            for (number, key) in keys.enumerated() where !number.isMultiple(of: 3) {
                try await store.set(key, value: Array("\(number)".utf8), expiry: nil)
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for round in 0..<1000 {
                    group.addTask {
                        let number = round % 300
                        let expected = number.isMultiple(of: 3) ? nil : Array("\(number)".utf8)
                        #expect(try await store.get(keys[number])?.bytes == expected)
                        let pair = try await store.get([keys[number], keys[(number + 1) % 300]])
                        #expect(pair[0]?.bytes == expected)
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
