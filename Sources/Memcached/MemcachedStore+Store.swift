public import MintCache

/// Each key is on one server.
extension MemcachedStore {
    // MARK: Servers

    /// The servers of all lists that this store was told, each a store by itself.
    public var parts: [StorePart] { fleet.read { $0.clients.map(\.part) } }

    /// Which server has a key.
    public func part(of key: StoreKey) -> StorePart { fleet.read { $0.client(for: key).part } }

    /// Which servers have a key by all lists that this store was told.
    public func parts(of key: StoreKey) -> [StorePart] {
        fleet.read { fleet in fleet.lists.servers(for: key).map { fleet.clients[$0].part } }
    }

    /// The number of the current list of servers; 0 for none.
    public var listNumber: UInt32 { fleet.read(\.lists.number) }

    /// Whether a key is on the same server by the list with this number.
    public func accepts(listNumber: UInt32, for key: StoreKey) -> Bool {
        fleet.read { $0.lists.accepts(listNumber, for: key) }
    }

    @inline(__always)
    private func client(for key: StoreKey) -> ServerClient { fleet.read { $0.client(for: key) } }

    // MARK: Reading

    // Inlined into its witness of the protocol: a frame less. So is `get(_:with:)`.

    /// Reads one item.
    @inline(__always)
    public func get(_ key: StoreKey) async throws -> StoreItem? { try await client(for: key).get(key) }

    /// Reads several items: one round trip to each server that has any of them, all at the same time.
    public func get(_ keys: [StoreKey]) async throws -> [StoreItem?] {
        let (clients, servers) = fleet.read { fleet in (fleet.clients, keys.map(fleet.lists.server(for:))) }
        guard let first = servers.first else { return [] }
        if servers.allSatisfy({ $0 == first }) { return try await clients[first].get(keys) }
        return try await withThrowingTaskGroup(of: (positions: [Int], items: [StoreItem?]).self) { group in
            for server in Set(servers) {
                let positions = keys.indices.filter { servers[$0] == server }
                group.addTask { (positions, try await clients[server].get(positions.map { keys[$0] })) }
            }
            var all = [StoreItem?](repeating: nil, count: keys.count)
            for try await part in group {
                for (position, item) in zip(part.positions, part.items) { all[position] = item }
            }
            return all
        }
    }

    /// Reads an item, and others from the same server, in one round trip.
    @inline(__always)
    public func get(
        _ key: StoreKey, with others: [StoreKey]
    ) async throws -> (item: StoreItem?, others: [StoreItem?]) {
        try await client(for: key).get(key, with: others)
    }

    /// Writes values to the server of an item and then reads there, in one round trip unless writes are acknowledged.
    public func get(
        _ key: StoreKey, with others: [StoreKey], after writes: [UniqueValue]
    ) async throws -> (item: StoreItem?, others: [StoreItem?]) {
        try await client(for: key).get(key, with: others, after: writes)
    }

    // MARK: Writing

    /// Stores a value whatever stood there.
    public func set(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws {
        try await client(for: key).set(key, value: value, expiry: expiry)
    }

    /// Stores a value if nothing stands there.
    public func add(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws -> StoreWrite {
        try await client(for: key).add(key, value: value, expiry: expiry)
    }

    /// Stores a value if the item with this CAS id stands there.
    public func compareAndSwap(
        _ key: StoreKey, expecting cas: StoreItem.CAS, value: [UInt8], expiry: Duration?
    ) async throws -> StoreWrite {
        try await client(for: key).compareAndSwap(key, expecting: cas, value: value, expiry: expiry)
    }

    /// Stores a value that nobody else ever writes under the key. A small one leaves with what is read, and is read
    /// back.
    public func writeUnique(
        _ key: StoreKey, value: [UInt8], over cas: StoreItem.CAS?, expiry: Duration?
    ) async throws -> StoreWrite {
        try await client(for: key).writeUnique(key, value: value, over: cas, expiry: expiry)
    }

    /// Removes what stands there.
    public func delete(_ key: StoreKey) async throws -> Bool { try await client(for: key).delete(key) }

    /// Removes everything from every server: for tests. A proxy may not know it, and close the connection.
    public func flush() async throws {
        for client in fleet.read(\.clients) { try await client.flush() }
    }
}
