import MintCache

/// What a worker does its calls on. One thread at a time uses it, and its calls block.
protocol ServerConnection: AnyObject {
    /// The items of all keys of a batch, by their index.
    func get(_ batch: borrowing KeyBatch, maximumKeys: Int) throws -> [StoreItem?]

    /// Writes, and says whether that took place.
    func write(_ operation: WriteOperation) throws -> Bool

    /// Closes it, until it is used again.
    func close()
}

/// Answers every get with the same item, at once: what is left is what suspending, handing over and resuming costs.
final class NullConnection: ServerConnection {
    private let item: StoreItem?

    init(value: [UInt8]) { item = StoreItem.CAS(rawValue: 1).map { StoreItem(value: value, cas: $0) } }

    func get(_ batch: borrowing KeyBatch, maximumKeys: Int) -> [StoreItem?] {
        [StoreItem?](repeating: item, count: batch.count)
    }

    func write(_ operation: WriteOperation) -> Bool { true }

    func close() {}
}
