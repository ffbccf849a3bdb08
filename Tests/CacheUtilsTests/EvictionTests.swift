import CacheUtils
import TestSupport
import Testing

/// Hit ratios of the in-memory store, raw and through a cached function, against those of the reference implementation
/// of S3-FIFO, libcachesim 0.3.5 from PyPI (`S3FIFO(cache_size=n)`, on the same trace, objects of size 1).
@Suite("Eviction")
struct EvictionTests {
    /// Skewed reads of 20,000 keys, then a scan of new ones, then a loop over 600, and again. All keys are eight
    /// digits.
    private static let trace: [Int] = {
        var (state, scan) = (UInt64(7), 1_000_000)
        return (0..<100_000).map { step in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let random = Int(state >> 33)
            switch step / 2000 % 5 {
            case 3:
                scan += 1
                return 10_000_000 + scan
            case 4: return 10_500_000 + step % 600
            default:
                let uniform = Double(random % 1_000_000 + 1) / 1_000_001
                return 10_000_000 + Int(20_000 * uniform * uniform * uniform * uniform)
            }
        }
    }()

    /// Hits of the reference by the number of entries. LRU has 8,986 and 33,122, SIEVE 13,859 and 24,490.
    private static let reference = [100: 14_516, 1000: 38_287]

    @Test("of the store by itself is that of the reference, to a hundredth", arguments: [100, 1000])
    func raw(entries: Int) async throws {
        let store = InMemoryStore(capacity: entries * (8 + InMemoryStore.overheadPerItem))
        var hits = 0
        for number in Self.trace {
            let key = try StoreKey("\(number)")
            if try await store.get(key) != nil { hits += 1 } else { try await store.set(key, value: [], expiry: nil) }
        }
        #expect(abs(hits - Self.reference[entries, default: 0]) < Self.trace.count / 100, "\(hits) hits")
    }

    @Test("of a cached function is that of the reference, to a hundredth", arguments: [100, 1000])
    func calls(entries: Int) async throws {
        let clock = ManualClock()
        // The key, the envelope and eight bytes.
        let size = "e:1:f(10000000)".utf8.count + 48 + InMemoryStore.overheadPerItem
        let store = InMemoryStore(capacity: entries * size, clock: clock)
        let statistics = CacheStatistics()
        let cache = Cache(store: store, namespace: "e", clock: clock, observer: statistics)
        let number = cache.cached("f", ttl: .seconds(3600)) { (number: Int) in number }
        for key in Self.trace {
            _ = try await number(key)
            await cache.drain()
        }
        let hits = statistics.snapshot.hits
        #expect(abs(hits - Self.reference[entries, default: 0]) < Self.trace.count / 100, "\(hits) hits")
    }
}
