import MintCache
import Synchronization
import TestSupport
import Testing

@Suite("A part that leaves a store")
struct LeavingPartTests {
    /// A store of two parts, the second of which can leave. Keys are in both, as while the list of servers changes.
    private final class ChangingStore: ForwardingStore {
        let first = ScriptedStore(InMemoryStore())
        let second = ScriptedStore(InMemoryStore())
        private let hasLeft = Mutex(false)

        var base: any CacheStore { first }

        func leave() { hasLeft.withLock { $0 = true } }

        var parts: [StorePart] {
            let both = [StorePart(id: 1, store: first), StorePart(id: 2, store: second)]
            return hasLeft.withLock(\.self) ? [both[0]] : both
        }
        func parts(of key: StoreKey) -> [StorePart] { parts }
    }

    private let store = ChangingStore()
    private let clock = ManualClock()

    /// Invalidates a value and a group, and has the second part shut down under both.
    private func invalidate(whileShuttingDown: () -> Void) async throws -> ReadThroughCache {
        let cache = ReadThroughCache(store: store, clock: clock)
        let (value, group) = (try StoreKey("value"), try StoreKey("group"))
        let (deleting, setting) = (Gate(), Gate())
        store.second.next(.delete, .pauseAndShutDown(deleting))
        store.second.next(.set, .pauseAndShutDown(setting))
        async let invalidation: Void = cache.invalidate([value], groups: [group])
        try await deleting.arrival()
        try await setting.arrival()
        whileShuttingDown()
        deleting.open()
        setting.open()
        try await invalidation
        return cache
    }

    @Test("needs no invalidation that met it when it was being closed")
    func left() async throws {
        let cache = try await invalidate { store.leave() }
        #expect(cache.pendingInvalidations.isEmpty)
        #expect(store.first.count(.delete) == 1 && store.first.count(.set) == 1)
    }

    @Test("and one that is shut down without leaving does")
    func shutDown() async throws {
        let error = await #expect(throws: CacheError.self) { try await invalidate {} }
        #expect(error?.code == .shutDown)
        #expect(Set(error?.keys ?? []) == [try StoreKey("value"), try StoreKey("group")])
    }
}
