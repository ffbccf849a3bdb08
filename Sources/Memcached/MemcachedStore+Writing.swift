public import MintCache

extension MemcachedStore {
    /// Stores a value whatever stood there.
    public func set(_ key: StoreKey, to value: [UInt8], expiry: Duration?) async throws {
        _ = try await write(.set(key, value, expiry: Expiry.seconds(for: expiry, now: clock.now)), key)
    }

    /// Stores a value if nothing stands there.
    public func add(_ key: StoreKey, _ value: [UInt8], expiry: Duration?) async throws -> StoreWrite {
        try await write(.add(key, value, expiry: Expiry.seconds(for: expiry, now: clock.now)), key)
    }

    /// Stores a value if the item with this CAS id stands there.
    public func compareAndSwap(
        _ key: StoreKey, expecting cas: StoreItem.CAS, with value: [UInt8], expiry: Duration?
    ) async throws -> StoreWrite {
        let expiry = try Expiry.seconds(for: expiry, now: clock.now)
        return try await write(.compareAndSwap(key, value, cas: cas, expiry: expiry), key)
    }

    /// Stores a value that nobody else ever writes under the key. A small one leaves with what is read, and is read
    /// back.
    public func write(
        unique value: [UInt8], to key: StoreKey, over cas: StoreItem.CAS?, expiry: Duration?
    ) async throws -> StoreWrite {
        let expiry = try Expiry.seconds(for: expiry, now: clock.now)
        let operation =
            cas.map { WriteOperation.compareAndSwap(key, value, cas: $0, expiry: expiry) }
            ?? .add(key, value, expiry: expiry)
        guard !configuration.acknowledgesWrites, value.count <= Self.largestReadBack else {
            return try await write(operation, key)
        }
        return try await written(ask(.write(operation), for: key, client(for: key)))
    }

    /// Removes what stands there.
    public func delete(_ key: StoreKey) async throws -> Bool {
        try await write(.delete(key), key).isStored
    }

    /// Removes everything from every server: for tests. A proxy may not know it, and close the connection.
    public func flush() async throws {
        for client in clients { _ = try await written(Call(.write(.flush), in: .passUnretained(client.writes))) }
    }

    /// Does a write that the server acknowledges.
    private func write(_ operation: WriteOperation, _ key: StoreKey) async throws -> StoreWrite {
        let client = client(for: key)
        // An invalidation is tried however the server was a moment ago.
        if !operation.isInvalidation, client.state.isOpen { throw client.state.refusal }
        return try await written(Call(.write(operation), in: .passUnretained(client.writes)))
    }

    private func written(_ call: Call) async throws -> StoreWrite {
        guard case .written(let write) = try await call.wait() else {
            preconditionFailure("another reply than to a write")
        }
        return write
    }
}
