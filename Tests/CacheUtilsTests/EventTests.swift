import CacheUtils
import Synchronization
import TestSupport
import Testing

/// What observers are told.
@Suite("An event", .timeLimit(.minutes(5)))
struct EventTests {
    private final class Recorder: CacheObserver {
        private let events = Mutex<[CacheEvent]>([])

        func record(_ event: CacheEvent) { events.withLock { $0.append(event) } }

        func functions(of kind: CacheEvent.Kind) -> [String] {
            events.withLock { $0.filter { $0.kind == kind }.map(\.function) }
        }
    }

    private let recorder = Recorder()
    private let store = ScriptedStore(InMemoryStore())
    private let cache: Cache
    private let city: CachedFunction<String, Int>

    init() {
        cache = Cache(store: store, namespace: "shop", observer: recorder)
        city = cache.cached("city", ttl: .seconds(60)) { (slug: String) in slug.count }
    }

    @Test("of an invalidation or an expiry has the name of the function")
    func function() async throws {
        try await city.invalidate("paris")
        try await city.invalidate(many: ["paris", "lyon"])
        try await cache.invalidate(on: Once([.call(city, "paris"), .key("front"), .group("cities")])) { [$0] }
        #expect(recorder.functions(of: .invalidation).sorted() == ["", "", "city", "city", "city", "city"])
        try await city.expire("paris")
        #expect(recorder.functions(of: .expiry) == ["city"])
        store.next(.delete, .failBefore)
        await #expect(throws: (any Error).self) { try await city.invalidate("paris") }
        #expect(recorder.functions(of: .invalidationFailed) == ["city"])
    }
}

/// A sequence of events that there are already.
struct Once<Element: Sendable>: AsyncSequence {
    struct AsyncIterator: AsyncIteratorProtocol {
        var elements: ArraySlice<Element>

        mutating func next() async -> Element? { elements.popFirst() }
    }

    private let elements: [Element]

    init(_ elements: [Element]) { self.elements = elements }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(elements: elements[...]) }
}
