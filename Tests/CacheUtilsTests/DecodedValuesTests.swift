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

    @Test("are kept of small payloads only")
    func largePayloads() async throws {
        let cache = Cache(store: InMemoryStore(clock: clock), namespace: "decoded", clock: clock, checksCodecs: false)
        let text = cache.cached("text", ttl: .seconds(60), codec: codec) { String(repeating: "x", count: $0) }
        let size = DecodedValuesLimits.largestPayload + 1
        _ = try await text(size)
        await cache.drain()
        for _ in 0..<4 { _ = try await text(size) }
        #expect(codec.decodings.value == 4)
    }

    @Test("are bounded in number, and the oldest of a set makes room")
    func bounded() {
        let values = DecodedValues<UInt64>()
        for identity in UInt64(0)..<200_000 { values.keep(identity, of: identity, size: 1) }
        let kept = (UInt64(0)..<200_000).filter { (try? values.value(of: $0)) == $0 }
        #expect(kept == Array(200_000 - UInt64(DecodedValuesLimits.count)..<200_000))
        #expect(throws: NotKept.self) { try values.value(of: 200_000) }
    }

    @Test("are bounded in the size of their payloads")
    func boundedSize() throws {
        let values = DecodedValues<UInt64>()
        for identity in UInt64(0)..<20_000 {
            // Twice, as by two callers that have decoded it at once.
            for _ in 1...2 { values.keep(identity, of: identity, size: 4096) }
            #expect(try values.value(of: identity) == identity)
        }
        let kept = (UInt64(0)..<20_000).count { (try? values.value(of: $0)) != nil }
        #expect(kept == DecodedValuesLimits.size / 4096)
    }

    @Test("are nearly all kept: what has no room in its set is in the one beside it")
    func crowdedSets() {
        let values = DecodedValues<UInt64>()
        var random = SystemRandomNumberGenerator()
        let identities = (0..<10_000).map { _ in random.next() }
        // A few are lost while the table grows, and have room when they come again.
        for fewest in [9_500, 9_980] {
            for identity in identities { values.keep(identity, of: identity, size: 100) }
            #expect(identities.count { (try? values.value(of: $0)) == $0 } > fewest)
        }
    }

    @Test("can be of types of any size and alignment")
    func layouts() throws {
        struct Wide: Sendable, Equatable {
            var numbers: SIMD16<Double>
            var text: String
        }
        struct Empty: Sendable, Equatable {}
        func check<Value: Equatable & Sendable>(_ value: Value) throws {
            let values = DecodedValues<Value>()
            for identity in UInt64(0)..<100 { values.keep(value, of: identity, size: 0) }
            for identity in UInt64(0)..<100 { #expect(try values.value(of: identity) == value) }
        }
        try check(Wide(numbers: SIMD16(repeating: 0.5), text: "text that is too long to be kept in the string itself"))
        try check(Empty())
        try check(Int?.none)
        try check(UInt8(7))
    }

    /// Counts how many of it there are.
    private final class Tracked: Sendable {
        private let gone: Counter

        init(_ count: Counter, gone: Counter) {
            self.gone = gone
            count.increment()
        }

        deinit { gone.increment() }
    }

    @Test("are freed when others are kept instead, and with the table, but not while a caller has them")
    func freeing() throws {
        let (count, gone) = (Counter(), Counter())
        var kept: Tracked?
        do {
            let values = DecodedValues<Tracked>()
            for identity in UInt64(0)..<20_000 {
                for _ in 1...2 { values.keep(Tracked(count, gone: gone), of: identity, size: 4096) }
            }
            #expect(count.value - gone.value == DecodedValuesLimits.size / 4096)
            kept = try values.value(of: 19_999)
        }
        #expect(count.value - gone.value == 1)
        withExtendedLifetime(kept) {}
        kept = nil
        #expect(count.value == gone.value)
    }
}
