import MintCache

/// A connection, and the gets that are under way on it. One worker at a time has it.
final class Lane {
    private let connection: any ServerConnection
    private var batch = GetBatch()
    /// The drain of the queue that the gets came with or after.
    private(set) var drain: UInt64 = 0

    init(_ connection: any ServerConnection) { self.connection = connection }

    /// Whether asking does not have to wait for a new connection.
    var isReady: Bool { connection.isReady }

    /// How many calls are under way.
    var underWay: Int { batch.callCount }

    /// Asks for what calls want, and does not wait for the answers.
    func ask(_ calls: consuming CallList, _ drain: UInt64) {
        batch.fill(calls)
        connection.ask(for: batch.keys)
        self.drain = drain
    }

    /// Waits for the answers, and returns the calls with their answers prepared.
    ///
    /// - Throws: what the connection throws; then the calls have failed with it.
    func answers() throws -> CallList {
        do {
            return try batch.answer { items, keys in try connection.take(&items, of: keys) }
        } catch {
            batch.fail(error)
            throw error
        }
    }

    func write(_ operation: WriteOperation) throws -> Bool { try connection.write(operation) }

    /// Fails the calls that are under way, whose answers are not waited for any more.
    func abandon(_ error: any Error) {
        batch.fail(error)
        connection.close()
    }

    func close() { connection.close() }
}
