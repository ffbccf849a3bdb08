import CacheUtils
import Synchronization
import TestSupport
import Testing

/// A store that gives slices of one array, as the gets of one batch are given them.
private final class SharingStore: ForwardingStore {
    let base: any CacheStore
    private let shared = Mutex<[UInt8]>([])

    init(clock: ManualClock) { base = InMemoryStore(clock: clock) }

    /// Whether anybody has a slice: then writing needs another array. It has one after that, so ask once only.
    var isKept: Bool {
        shared.withLock { shared in
            let before = shared.withUnsafeBytes(\.baseAddress)
            shared.append(0)
            return shared.withUnsafeBytes(\.baseAddress) != before
        }
    }

    func get(_ key: StoreKey) async throws -> StoreItem? { try await get([key])[0] }

    func get(_ keys: [StoreKey]) async throws -> [StoreItem?] {
        let items = try await base.get(keys)
        return shared.withLock { shared in
            shared = [1, 2, 3]
            shared.reserveCapacity(1000)
            var ranges: [Range<Int>] = []
            for item in items {
                let start = shared.count
                shared += item?.value ?? []
                ranges.append(start..<shared.count)
            }
            return zip(items, ranges).map { item, range in item.map { StoreItem(at: range, of: shared, cas: $0.cas) } }
        }
    }
}

/// Keeps what it is to copy.
private struct SliceCodec: CacheCodec {
    let format = "slice"

    func encode(_ value: ArraySlice<UInt8>) -> [UInt8] { Array(value) }

    func decode(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> { bytes }
}

@Suite("What a call read with others", .timeLimit(.minutes(5)))
struct SharedAnswerTests {
    private let clock = ManualClock()

    @Test("is not kept by what it returns", arguments: [[], ["g"]])
    func hits(groups: [String]) async throws {
        let store = SharingStore(clock: clock)
        let cache = Cache(store: store, namespace: "t", clock: clock)
        let bytes = cache.cached("bytes", ttl: .seconds(60), groups: groups) { [UInt8](repeating: 7, count: $0) }
        let text = cache.cached("text", ttl: .seconds(60), groups: groups) { String(repeating: "x", count: $0) }
        let slice = cache.cached("slice", ttl: .seconds(60), groups: groups, codec: SliceCodec()) { [1, 2] }
        for _ in 1...2 {
            for size in [100, 0] {
                let value = try await bytes(size)
                #expect(!store.isKept)
                #expect(value == [UInt8](repeating: 7, count: size))
            }
            let value = try await text(100)
            #expect(!store.isKept)
            #expect(value.utf8.count == 100)
            let kept = try await slice()
            #expect(!store.isKept)
            #expect(kept == [1, 2])
            let peeked = try await text.peek(100)
            #expect(!store.isKept)
            #expect(peeked == value)
        }
    }

    @Test("is not kept for as long as a load takes, whether the call waits for it or is served a stale value")
    func loads() async throws {
        for isStale in [true, false] {
            let store = SharingStore(clock: clock)
            let cache = Cache(store: store, namespace: "t", clock: clock)
            let gates = [Gate.opened, Gate()]
            let loads = Counter()
            let text = cache.cached("text", ttl: .seconds(1), groups: ["g"]) { (_: Int) in
                let load = loads.increment()
                try await gates[load - 1].pass()
                return "load \(load)"
            }
            #expect(try await text(1) == "load 1")
            await cache.drain()
            if isStale { clock.advance(by: .seconds(1)) } else { try await cache.invalidate(group: "g") }
            let call = Task { try await text(1) }
            if isStale { #expect(try await call.value == "load 1") }
            try await gates[1].arrival()
            #expect(!store.isKept)
            gates[1].open()
            #expect(try await call.value == (isStale ? "load 1" : "load 2"))
        }
    }
}
