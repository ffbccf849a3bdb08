package import MintCache

extension CacheStore {
    /// The index of the part that has a key.
    package func server(of key: StoreKey) -> Int {
        let id = part(of: key).id
        return parts.firstIndex { $0.id == id } ?? -1
    }
}
