import MintCache

/// What a worker does its calls on. One thread at a time uses it, and its calls block.
protocol ServerConnection: AnyObject {
    /// Whether asking does not have to wait for a new connection.
    var isReady: Bool { get }

    /// Asks for the keys of a batch, and does not wait for the answers. They are taken before anything else is asked.
    func ask(for batch: borrowing KeyBatch)

    /// The items of all keys of the batch that was asked for, by their index.
    func items(of batch: borrowing KeyBatch) throws -> [StoreItem?]

    /// Writes, and says whether that took place.
    func write(_ operation: WriteOperation) throws -> Bool

    /// Closes it, until it is used again.
    func close()
}

/// Answers every get with the same item, at once: what is left is what suspending, handing over and resuming costs.
final class NullConnection: ServerConnection {
    private let item: StoreItem?

    init(value: [UInt8]) { item = StoreItem.CAS(rawValue: 1).map { StoreItem(value: value, cas: $0) } }

    var isReady: Bool { true }

    func ask(for batch: borrowing KeyBatch) {}

    func items(of batch: borrowing KeyBatch) -> [StoreItem?] {
        [StoreItem?](repeating: item, count: batch.count)
    }

    func write(_ operation: WriteOperation) -> Bool { true }

    func close() {}
}
