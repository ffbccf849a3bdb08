#if Zstd
@testable import CacheUtils
import TestSupport
import Testing

/// They run with the trait `Zstd`: `make test-release`.
@Suite("Compression")
struct CompressionTests {
    private struct Page: Codable, Sendable, Equatable {
        var text: String
    }

    private let codec = JSONCodec<Page>()
    private let clock = ManualClock()

    @Test(
        "brings back what it was given, and makes what is large and repeats itself small",
        arguments: [0, 10, 1000, 1_000_000])
    func roundTrip(letters: Int) throws {
        let page = Page(text: String(repeating: "Paris ", count: letters))
        let compressed = codec.compressed()
        let bytes = try compressed.encode(page)
        #expect(try compressed.decode(bytes[...]) == page)
        let plain = try codec.encode(page)
        #expect(plain.count > 1024 ? bytes.count < plain.count / 10 : bytes.count == plain.count + 1)
    }

    @Test("leaves alone what becomes no smaller")
    func random() throws {
        let codec = DirectCodec<[UInt8]>().compressed(above: 10)
        var generator = SeededGenerator(seed: 1)
        // Bounds that make no sense are the nearest that do.
        let odd = DirectCodec<[UInt8]>().compressed(above: -1, level: 1000, maximumSize: 0)
        #expect(try odd.encode([]) == [0])
        #expect(throws: ValueTooLarge.self) { try odd.encode([1]) }
        for count in [0, 1, 11, 12, 100, 5000] {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let encoded = try codec.encode(bytes)
            #expect(encoded.count == count + 1)
            #expect(try codec.decode(encoded[...]) == bytes)
        }
    }

    @Test("refuses bytes that were cut or damaged, or claim to be more than may be")
    func damage() throws {
        let compressed = codec.compressed()
        let bytes = try compressed.encode(Page(text: String(repeating: "x", count: 5000)))
        for length in 0..<bytes.count {
            #expect(throws: (any Error).self) { try compressed.decode(bytes.prefix(length)) }
        }
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<2000 {
            var damaged = bytes
            damaged[Int.random(in: 0..<bytes.count, using: &generator)] ^= UInt8.random(in: 1...255, using: &generator)
            // It must not trap. Another text of the same length may come of it: the envelope's checksum is for that.
            _ = try? compressed.decode(damaged[...])
        }
        let narrow = codec.compressed(maximumSize: 4000)
        #expect(throws: MalformedPayload.self) { try narrow.decode(bytes[...]) }
        #expect(throws: ValueTooLarge.self) { try narrow.encode(Page(text: String(repeating: "x", count: 5000))) }
    }

    @Test("can come with a release, and go: each takes the other's values for misses")
    func deploy() async throws {
        let store = InMemoryStore(clock: clock)
        let (old, new) = (
            Cache(store: store, namespace: "s", clock: clock), Cache(store: store, namespace: "s", clock: clock)
        )
        let loads = Counter()
        let page = Page(text: String(repeating: "x", count: 5000))
        let plain = old.cached("page", ttl: .seconds(60), codec: codec) {
            loads.increment(); return page
        }
        let compressed = new.cached("page", ttl: .seconds(60), codec: codec.compressed()) {
            loads.increment()
            return page
        }
        for _ in 1...2 {
            #expect(try await plain() == page)
            await old.drain()
            #expect(try await compressed() == page)
            await new.drain()
        }
        #expect(loads.value == 4)
        #expect(try await compressed() == page && loads.value == 4)
    }
}
#endif
