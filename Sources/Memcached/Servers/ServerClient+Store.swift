import MintCache

/// One server is a store by itself, on which any key can stand.
extension ServerClient: CacheStore {
    /// Larger values are not read back: that would cost more than waiting for an acknowledgement.
    private var largestReadBack: Int { min(4096, configuration.maximumValue) }

    // MARK: Reading

    @inline(__always)
    func get(_ key: StoreKey) async throws -> StoreItem? {
        let reply = try await reply(to: ask(.get(key), for: key), .get)
        guard case .item(let item) = reply else { preconditionFailure("another reply than to a get") }
        return item
    }

    func get(_ keys: [StoreKey]) async throws -> [StoreItem?] {
        guard let first = keys.first else { return [] }
        // The first one is asked for once, all the same.
        return try await get(first, with: keys).others
    }

    @inline(__always)
    func get(_ key: StoreKey, with others: [StoreKey]) async throws -> (item: StoreItem?, others: [StoreItem?]) {
        try await items(of: ask(.getAll(key, others), for: key))
    }

    /// Leaves in one exchange, where writes need not be acknowledged.
    func get(
        _ key: StoreKey, with others: [StoreKey], after writes: [UniqueValue]
    ) async throws -> (item: StoreItem?, others: [StoreItem?]) {
        guard !configuration.acknowledgesWrites, writes.allSatisfy({ $0.value.count <= largestReadBack }) else {
            for write in writes {
                _ = try await self.writeUnique(write.key, value: write.value, over: write.over, expiry: write.expiry)
            }
            return try await get(key, with: others)
        }
        let operations = try writes.map {
            WriteOperation(unique: $0.value, to: $0.key, over: $0.over, expiry: try expirySeconds($0.expiry))
        }
        return try await items(of: ask(.writeAndGetAll(operations, key, others), for: key))
    }

    @inline(__always)
    private func items(
        of call: @autoclosure () throws -> Call
    ) async throws -> (item: StoreItem?, others: [StoreItem?]) {
        guard case .items(let item, let items) = try await reply(to: call(), .get) else {
            preconditionFailure("another reply than to a get of several keys")
        }
        return (item, items)
    }

    // MARK: Writing

    func set(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws {
        _ = try await write(.set(key, value, expiry: expirySeconds(expiry)))
    }

    func add(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws -> StoreWrite {
        try await write(.add(key, value, expiry: expirySeconds(expiry)))
    }

    func compareAndSwap(
        _ key: StoreKey, expecting cas: StoreItem.CAS, value: [UInt8], expiry: Duration?
    ) async throws -> StoreWrite {
        try await write(.compareAndSwap(key, value, cas: cas, expiry: expirySeconds(expiry)))
    }

    /// A small one leaves with what is read, and is read back.
    func writeUnique(
        _ key: StoreKey, value: [UInt8], over cas: StoreItem.CAS?, expiry: Duration?
    ) async throws -> StoreWrite {
        let operation = WriteOperation(unique: value, to: key, over: cas, expiry: try expirySeconds(expiry))
        guard !configuration.acknowledgesWrites, value.count <= largestReadBack else {
            return try await write(operation)
        }
        return try await written(by: ask(.write(operation), for: key), ClientOperation(operation))
    }

    /// The small ones leave together.
    func writeUnique(_ writes: [UniqueValue]) async -> [Result<StoreWrite, any Error>] {
        let isSmall = writes.map { !configuration.acknowledgesWrites && $0.value.count <= largestReadBack }
        let together = writes.indices.filter { isSmall[$0] }
        guard together.count == writes.count else {
            var outcomes = await writeEach(writes.indices.filter { !isSmall[$0] }.map { writes[$0] })
            let small = await writeUnique(together.map { writes[$0] })
            for (place, outcome) in zip(together, small) { outcomes.insert(outcome, at: place) }
            return outcomes
        }
        guard let first = writes.first else { return [] }
        do {
            let operations = try writes.map {
                WriteOperation(unique: $0.value, to: $0.key, over: $0.over, expiry: try expirySeconds($0.expiry))
            }
            let reply = try await reply(
                to: ask(.writeAll(operations), for: first.key), ClientOperation(operations[0]))
            guard case .allWritten(let outcomes) = reply else {
                preconditionFailure("another reply than to several writes")
            }
            return outcomes
        } catch {
            return writes.map { _ in .failure(error) }
        }
    }

    func delete(_ key: StoreKey) async throws -> Bool { try await write(.delete(key)).isStored }

    /// Removes everything.
    func flush() async throws { _ = try await write(.flush) }

    // MARK: Calls

    /// The call in a conversation.
    @inline(__always)
    private func ask(_ request: Call.Request, for key: StoreKey) throws -> Call {
        guard !state.isOpen else { throw state.refusal }
        return Call(request, in: .passUnretained(conversation(for: key)))
    }

    /// Makes a call and waits for its answer, which is told where anybody counts or traces.
    @inline(__always)
    private func reply(
        to call: @autoclosure () throws -> Call, _ operation: @autoclosure () -> ClientOperation
    ) async throws -> Call.Reply {
        guard let instruments else { return try await call().wait() }
        return try await instruments.observe(operation()) { try await call().wait() }
    }

    /// Does a write that the server acknowledges.
    private func write(_ operation: WriteOperation) async throws -> StoreWrite {
        guard operation.value.count <= configuration.maximumValue else { throw tooLarge(operation.value) }
        return try await written(by: acknowledged(operation), ClientOperation(operation))
    }

    private func acknowledged(_ operation: WriteOperation) throws -> Call {
        // An invalidation is tried however the server was a moment ago.
        if !operation.isInvalidation, state.isOpen { throw state.refusal }
        return Call(.write(operation), in: .passUnretained(writes))
    }

    private func tooLarge(_ value: [UInt8]) -> CacheError {
        CacheError(
            .valueTooLarge,
            "a value of \(value.count) bytes is over the store's maximumValue of \(configuration.maximumValue), so it could "
                + "not be read again: raise that, or cache less")
    }

    private func written(
        by call: @autoclosure () throws -> Call, _ operation: ClientOperation
    ) async throws -> StoreWrite {
        guard case .written(let write) = try await reply(to: call(), operation) else {
            preconditionFailure("another reply than to a write")
        }
        return write
    }

    private func expirySeconds(_ expiry: Duration?) throws -> Int {
        try Expiry.seconds(for: expiry, now: SystemClock().now)
    }
}
