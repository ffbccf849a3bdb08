import MintCache

/// What a worker does its calls on. One thread at a time uses it, and its calls block.
protocol ServerConnection: AnyObject {
    /// Whether asking does not have to wait for a new connection.
    var isReady: Bool { get }

    /// Asks for the keys of a batch, and does not wait for the answers. They are taken before anything else is asked.
    func ask(for batch: borrowing KeyBatch)

    /// Takes the items of all keys of the batch that was asked for.
    ///
    /// - Parameter items: by the indices of the keys, none before, and unspecified after an error.
    func take(_ items: inout FetchedItems, of batch: borrowing KeyBatch) throws

    /// Writes, and says whether that took place.
    func write(_ operation: WriteOperation) throws -> Bool

    /// Closes it, until it is used again.
    func close()
}

/// Answers every get with the same item, at once: what is left is what suspending, handing over and resuming costs.
final class NullConnection: ServerConnection {
    private let value: [UInt8]

    init(value: [UInt8]) { self.value = value }

    var isReady: Bool { true }

    func ask(for batch: borrowing KeyBatch) {}

    func take(_ items: inout FetchedItems, of batch: borrowing KeyBatch) {
        guard let cas = StoreItem.CAS(rawValue: 1) else { return }
        value.withUnsafeBytes { for index in 0..<batch.count { items.set(index, to: $0, cas: cas) } }
    }

    func write(_ operation: WriteOperation) -> Bool { true }

    func close() {}
}
