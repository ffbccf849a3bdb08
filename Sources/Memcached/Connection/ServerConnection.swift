import MintCache

/// What a thread converses on. One thread at a time uses it, and its calls block.
protocol ServerConnection: AnyObject {
    /// Whether the server has answered on it, and it is used on: asking does not have to wait for a new connection.
    var isOpen: Bool { get }

    /// Sends the writes of a batch and asks for its keys, and does not wait for the items. They are taken before
    /// anything else is asked.
    func ask(for batch: inout Batch)

    /// Takes the items of all keys of the batch that was asked for.
    ///
    /// - Throws: what all calls fail with.
    func take(into batch: inout Batch) throws

    /// Writes, and says whether that took place.
    func write(_ operation: WriteOperation) throws -> Bool

    /// Makes sure that the server answers.
    func probe() throws

    /// Closes it, until it is used again.
    func close()
}

/// Answers every get with the same item, at once: what is left is what suspending, handing over and resuming costs.
final class NullConnection: ServerConnection {
    private let value: [UInt8]

    init(value: [UInt8]) { self.value = value }

    var isOpen: Bool { true }

    func ask(for batch: inout Batch) {}

    func take(into batch: inout Batch) {
        guard let cas = StoreItem.CAS(rawValue: 1) else { return }
        value.withUnsafeBytes { for index in 0..<batch.keys.count { batch.items.set(index, to: $0, cas: cas) } }
    }

    func write(_ operation: WriteOperation) -> Bool { true }

    func probe() {}

    func close() {}
}
