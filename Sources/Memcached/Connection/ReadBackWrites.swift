import CLibMemcached
import MintCache

/// The writes of one exchange. The server says nothing about them; what was read after them on the same connection
/// shows what became of each, since each value is unique.
struct ReadBackWrites {
    private enum State {
        case unsent
        case sent
        /// Not even sent, since what it is to write over is gone.
        case missed
        case failed(CacheError)
    }

    private struct Write {
        let operation: WriteOperation
        let key: Int
        var state = State.unsent
    }

    private var writes: [Write] = []
    /// Why writes that cannot be seen may still take effect: what was read is no longer what follows them on their
    /// connection.
    private var uncertainty: CacheError?

    var isEmpty: Bool { writes.isEmpty }
    var count: Int { writes.count }

    mutating func removeAll() {
        writes.removeAll(keepingCapacity: true)
        uncertainty = nil
    }

    mutating func append(_ operation: WriteOperation, key: Int) -> Int {
        writes.append(Write(operation: operation, key: key))
        return writes.count - 1
    }

    // MARK: Sending

    /// Sends the writes in turn, until one cannot be sent.
    ///
    /// - Parameters:
    ///   - isCurrent: whether what a CAS id was told of stands still for sure.
    ///   - perform: sends one.
    /// - Returns: what went wrong.
    mutating func send(
        isCurrent: (StoreItem.CAS) -> Bool, _ perform: (WriteOperation) -> ReturnCode
    ) -> ReturnCode? {
        for index in writes.indices {
            if let cas = writes[index].operation.expected, !isCurrent(cas) {
                writes[index].state = .missed
                continue
            }
            writes[index].state = .sent
            let code = perform(writes[index].operation)
            if code != ReturnCode.success { return code }
        }
        return nil
    }

    /// The connection broke: those that were not sent are not going to be, and of those that were only what can be seen
    /// is certain.
    mutating func interrupt(_ error: CacheError) {
        guard !writes.isEmpty else { return }
        // Not the error itself, which may be a refusal: of what was read, and of no write.
        uncertainty = CacheError(
            .unavailable, "the answer broke off: whether a write took place is open", underlying: error)
        for index in writes.indices {
            if case .unsent = writes[index].state { writes[index].state = .failed(error) }
        }
    }

    // MARK: What became of them

    /// What became of a write, from what was read after it.
    func outcome(_ index: Int, _ items: borrowing FetchedItems, epoch: UInt32?) -> Result<StoreWrite, any Error> {
        let write = writes[index]
        switch write.state {
        case .failed(let error): return .failure(error)
        case .missed: return .success(.notStored)
        case .unsent, .sent: break
        }
        let seen = items.withItem(write.key) { cas, value -> Result<StoreWrite, any Error>? in
            if write.operation.value.withUnsafeBytes({ $0.isSame(as: value) }) {
                return .success(.stored(epoch.flatMap { StoreItem.CAS(rawValue: cas, epoch: $0) }))
            }
            if let uncertainty { return .failure(uncertainty) }
            // What it was to write over stands there still.
            if write.operation.expected?.rawValue == cas { return nil }
            return .success(.notStored)
        }
        switch seen {
        case .some(.some(let outcome)): return outcome
        case .some(.none):
            return .failure(
                CacheError(
                    .storeFailure,
                    "memcached refused a write: its memory is full, as -M has it, or the value is too large"))
        case .none:
            if let uncertainty { return .failure(uncertainty) }
            return .success(write.operation.expected == nil ? .gone : .notStored)
        }
    }
}
