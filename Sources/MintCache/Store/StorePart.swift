/// A part of a store, like one server of a fleet: a store by itself, which holds any key.
public struct StorePart: Sendable, Identifiable {
    /// Which one it is: no other part of the same store ever has the same.
    public let id: Int
    /// The part as a store.
    public let store: any CacheStore

    /// Makes one.
    public init(id: Int, store: any CacheStore) {
        self.id = id
        self.store = store
    }
}
