import MintCache
import TestSupport
import Testing

@testable import CacheUtils

@Suite("Decoded values")
struct DecodedValuesTests {
    /// Text, and how often it was decoded.
    private struct CountingCodec: CacheCodec {
        let decodings = Counter()
        let format = "counted text"

        func encode(_ value: String) -> [UInt8] { Array(value.utf8) }

        func decode(_ bytes: ArraySlice<UInt8>) -> String {
            decodings.increment()
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    private let clock = ManualClock()
    private let codec = CountingCodec()

    private func cached(
        in store: any CacheStore, _ load: @escaping @Sendable @concurrent (Int) async throws -> String
    ) -> CachedFunction<Int, String> {
        Cache(store: store, namespace: "decoded", clock: clock, checksCodecs: false)
            .cached("text", ttl: .seconds(60), refresh: .foreground, codec: codec, load: load)
    }

    @Test("are not decoded again while the store has the same payload")
    func decodesOnce() async throws {
        let cache = Cache(store: InMemoryStore(clock: clock), namespace: "decoded", clock: clock, checksCodecs: false)
        let text = cache.cached("text", ttl: .seconds(60), codec: codec) { (number: Int) in "text \(number)" }
        for number in 1...2 {
            _ = try await text(number)
            await cache.drain()
        }
        for _ in 0..<10 { #expect(try await text(1) == "text 1") }
        #expect(codec.decodings.value == 1)
        for _ in 0..<10 { #expect(try await text(2) == "text 2") }
        #expect(codec.decodings.value == 2)
    }

    @Test("are never served for a payload of another load: a refresh, an invalidation, another process")
    func otherLoads() async throws {
        let store = InMemoryStore(clock: clock)
        let version = Counter()
        let text = cached(in: store) { _ in "version \(version.value)" }
        let other = cached(in: store) { _ in "version \(version.value)" }
        for _ in 0..<3 { #expect(try await text(1) == "version 0") }
        version.increment()
        try await text.refresh(1)
        #expect(try await text(1) == "version 1")
        version.increment()
        try await text.invalidate(1)
        #expect(try await other(1) == "version 2")
        #expect(try await text(1) == "version 2")
    }

    @Test("are gone from the cache when they are gone from the store")
    func evicted() async throws {
        let store = InMemoryStore(clock: clock)
        let loads = Counter()
        let text = cached(in: store) { _ in "load \(loads.increment())" }
        #expect(try await text(1) == "load 1")
        #expect(try await text(1) == "load 1")
        store.flush()
        #expect(try await text(1) == "load 2")
    }

    /// Counts how many of it there are.
    private final class Tracked: Sendable {
        /// With the counter, which each one is taken to have for itself.
        static let size = 64
        private let alive: Counter

        init(_ alive: Counter) {
            self.alive = alive
            alive.increment()
        }

        deinit { alive.decrement() }
    }

    /// Makes an object for each decoding.
    private struct TrackingCodec: CacheCodec {
        let alive = Counter()
        let format = "tracked"

        func encode(_ value: Tracked) -> [UInt8] { [1, 2, 3] }

        func decode(_ bytes: ArraySlice<UInt8>) -> Tracked { Tracked(alive) }
    }

    @Test("are let go when they are invalidated here, whether the store takes it or not", arguments: [true, false])
    func invalidated(isStoreUp: Bool) async throws {
        let store = ScriptedStore(InMemoryStore(clock: clock))
        let cache = Cache(store: store, namespace: "decoded", clock: clock, checksCodecs: false)
        let codec = TrackingCodec()
        func function(_ name: String, _ groups: [String]) async throws -> CachedFunction<Int, Tracked> {
            let function = cache.cached(name, ttl: .seconds(60), groups: groups, codec: codec) { (_: Int) in
                Tracked(Counter())
            }
            for number in 1...3 {
                _ = try await function(number)
                await cache.drain()
                _ = try await function(number)
            }
            return function
        }
        let (ungrouped, grouped) = (try await function("ungrouped", []), try await function("grouped", ["a", "b"]))
        #expect(codec.alive.value == 6)
        store.setDown(!isStoreUp)
        try? await ungrouped.invalidate(2)
        #expect(codec.alive.value == 5)
        try? await cache.invalidate(group: "other")
        #expect(codec.alive.value == 5)
        // A second group within a second waits for the first value that is kept after it.
        try? await cache.invalidate(group: "b")
        #expect(codec.alive.value == 5)
        store.setDown(false)
        clock.advance(by: .seconds(1))
        _ = try await ungrouped(4)
        await cache.drain()
        _ = try await ungrouped(4)
        #expect(codec.alive.value == 3)
        withExtendedLifetime(grouped) {}
    }

    @Test("of all functions together take as much memory as the cache allows, and are freed with it")
    func bounded() throws {
        let alive = Counter()
        do {
            let capacity = 1 << 20
            let values = DecodedValues(capacity: capacity, clock: clock)
            let functions = (0..<6).map { _ in DecodedFunction<(Tracked, UInt64)>(in: values, groups: []) }
            for number in UInt64(0)..<12_000 {
                for (place, function) in functions.enumerated() {
                    let key = try key(number * 6 + UInt64(place))
                    // Twice, as by two callers that have decoded it at once.
                    for _ in 1...2 {
                        function.keep((Tracked(alive), number), of: number, under: key, size: 10)
                    }
                }
            }
            let taken = alive.value * (HeapSize.block(24 + 16) + Tracked.size)
            #expect(taken <= capacity && taken > capacity * 6 / 10, "\(taken)")
        }
        #expect(alive.value == 0)
    }

    @Test("are kept one for a key, the last one, and not when they would take much of the memory by themselves")
    func oneForEachKey() throws {
        let (alive, values) = (Counter(), DecodedValues(capacity: 1 << 20, clock: clock))
        let tracked = DecodedFunction<Tracked>(in: values, groups: [])
        for identity in UInt64(1)...9 { tracked.keep(Tracked(alive), of: identity, under: try key(1), size: 10) }
        #expect(alive.value == 1)
        #expect(throws: NotKept.self) { try tracked.value(of: 8, under: key(1)) }
        #expect(throws: Never.self) { try tracked.value(of: 9, under: key(1)) }
        let bytes = DecodedFunction<[UInt8]>(in: values, groups: [])
        for (count, isKept) in [(7_000, true), (10_000, false)] {
            let identity = UInt64(count)
            bytes.keep(Array(repeating: 0, count: count), of: identity, under: try key(2), size: count)
            #expect((try? bytes.value(of: identity, under: key(2)).count) == (isKept ? count : nil))
        }
    }

    @Test("are none where the cache has no room for them", arguments: [0, -1, 100])
    func noRoom(capacity: Int) async throws {
        let cache = Cache(
            store: InMemoryStore(clock: clock), namespace: "decoded", clock: clock, checksCodecs: false,
            decodedCapacity: capacity)
        let text = cache.cached("text", ttl: .seconds(60), codec: codec) { (number: Int) in "text \(number)" }
        _ = try await text(1)
        await cache.drain()
        for _ in 0..<4 { #expect(try await text(1) == "text 1") }
        #expect(codec.decodings.value == 4)
    }

    @Test("are nearly all kept: what has no room in its set is in the one beside it")
    func crowdedSets() throws {
        let values = DecodedFunction<UInt64>(in: DecodedValues(capacity: 8 << 20, clock: clock), groups: [])
        let keys = try (UInt64(0)..<10_000).map { try key($0) }
        // A few are lost while the table grows, and have room when they come again.
        for fewest in [9_500, 9_980] {
            for key in keys { values.keep(7, of: 7, under: key, size: 100) }
            #expect(keys.count { (try? values.value(of: 7, under: $0)) == 7 } > fewest)
        }
    }

    @Test("of two functions that share a key are taken for what they are")
    func sharedKey() throws {
        let values = DecodedValues(capacity: 1 << 20, clock: clock)
        let (text, number) = (
            DecodedFunction<String>(in: values, groups: []), DecodedFunction<Int>(in: values, groups: [])
        )
        text.keep("text", of: 1, under: try key(1), size: 4)
        #expect(throws: NotKept.self) { try number.value(of: 1, under: key(1)) }
        number.keep(7, of: 1, under: try key(1), size: 4)
        #expect(try number.value(of: 1, under: key(1)) == 7)
        #expect(throws: NotKept.self) { try text.value(of: 1, under: key(1)) }
    }

    @Test("can be of types of any size and alignment")
    func layouts() throws {
        struct Wide: Sendable, Equatable {
            var numbers: SIMD16<Double>
            var text: String
        }
        struct Empty: Sendable, Equatable {}
        func check<Value: Equatable & Sendable>(_ value: Value) throws {
            let values = DecodedFunction<Value>(in: DecodedValues(capacity: 1 << 20, clock: clock), groups: [])
            for number in UInt64(0)..<100 { values.keep(value, of: number, under: try key(number), size: 0) }
            for number in UInt64(0)..<100 { #expect(try values.value(of: number, under: key(number)) == value) }
        }
        try check(Wide(numbers: SIMD16(repeating: 0.5), text: "text that is too long to be kept in the string itself"))
        try check(Empty())
        try check(Int?.none)
        try check(UInt8(7))
    }

    private func key(_ number: UInt64) throws -> StoreKey { try StoreKey("key:\(number)") }
}

@Suite("The memory of a value")
struct HeapSizeTests {
    private struct City: Sendable {
        var name: String
        var tags: [String]
        var mayor: String?
    }

    private class Animal {
        let name = "a name that is too long for the string itself"
    }

    private final class Dog: Animal {
        let age = 7
    }

    @Test("is what its strings, collections and objects take")
    func sizes() {
        #expect(HeapSize.of(7) == 0)
        #expect(HeapSize.of("short") == 0)
        #expect(HeapSize.of(String(repeating: "x", count: 100)) == 144)
        #expect(HeapSize.of([UInt8](repeating: 0, count: 1000)) == 1040)
        #expect(HeapSize.of([Int](repeating: 0, count: 1000)) == 8048)
        #expect(HeapSize.of([Int: Int](uniqueKeysWithValues: (0..<12).map { ($0, $0) })) == 336)
        let tags = Array(repeating: String(repeating: "x", count: 100), count: 1000)
        #expect(HeapSize.of(City(name: "Paris", tags: tags, mayor: nil)) == 16_048 + 144_000)
        #expect(HeapSize.of(Dog()) == 48 + 96)
    }
}
