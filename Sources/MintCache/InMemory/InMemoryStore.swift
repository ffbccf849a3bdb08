import Synchronization

/// A store in this process's memory: the embedded default, for tests, development and single processes.
///
/// It is bounded in bytes, and makes room before it stores an item. What goes is decided by S3-FIFO (Yang, Zhang, Qiu,
/// Yue and Rashmi, *FIFO queues are all you need for cache eviction*, SOSP 2023): items that are used once leave early,
/// and a scan does not push out what is in use. Only reads count as uses, not the writes of a load and the reads that
/// belong to them. The cost of an operation is constant, amortised, however many items there are.
public final class InMemoryStore: CacheStore {
    /// What an item takes besides the bytes of its key and value: what surrounds them in memory, and its places in the index,
    /// in the eviction order and among what was evicted. As measured: with it a full store takes its capacity of resident
    /// memory, to a tenth.
    public static let overheadPerItem = 176

    private let items: Mutex<S3FIFOCache>
    private let clock: any CacheClock

    /// Makes an empty store.
    ///
    /// - Parameters:
    ///   - capacity: the most bytes that keys, values and ``overheadPerItem`` for each item may take together. A
    ///     single item that would not fit is refused with the code `valueTooLarge`, so a store of no capacity takes
    ///     nothing.
    ///   - clock: what expiries are counted by.
    public init(capacity: Int = 64 * 1024 * 1024, clock: any CacheClock = SystemClock()) {
        items = Mutex(S3FIFOCache(capacity: capacity))
        self.clock = clock
    }

    /// How many items there are, expired ones that nobody asked for again included.
    public var count: Int { items.withLock { $0.count } }

    /// How many bytes they take, ``overheadPerItem`` included.
    public var byteCount: Int { items.withLock { $0.byteCount } }

    /// Removes everything.
    public func flush() {
        items.withLock { $0.removeAll() }
    }

    /// Reads one item.
    public func get(_ key: StoreKey) async throws -> StoreItem? {
        let now = clock.now
        return items.withLock { $0.item(key, at: now, isUse: true) }
    }

    /// Reads one item to write over it, which is no use of it.
    public func getForUpdate(_ key: StoreKey) async throws -> StoreItem? {
        let now = clock.now
        return items.withLock { $0.item(key, at: now, isUse: false) }
    }

    /// Reads several items, as they stood at one moment.
    public func get(_ keys: [StoreKey]) async throws -> [StoreItem?] {
        let now = clock.now
        return items.withLock { items in keys.map { items.item($0, at: now, isUse: true) } }
    }

    /// Reads an item and others that go with it, as they stood at one moment.
    public func get(
        _ key: StoreKey, with others: [StoreKey]
    ) async throws -> (item: StoreItem?, others: [StoreItem?]) {
        let now = clock.now
        return items.withLock { items in
            (items.item(key, at: now, isUse: true), others.map { items.item($0, at: now, isUse: true) })
        }
    }

    /// Stores a value whatever stood there.
    public func set(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws {
        let expiry = try expiryTime(expiry)
        try items.withLock { _ = try $0.store(value, under: key, until: expiry) }
    }

    /// Stores a value if nothing stands there.
    public func add(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws -> StoreWrite {
        let now = clock.now
        let expiry = try expiryTime(expiry)
        return try items.withLock { items in
            guard items.item(key, at: now, isUse: false) == nil else { return .notStored }
            return .stored(try items.store(value, under: key, until: expiry))
        }
    }

    /// Stores a value if the item with this CAS id stands there.
    public func compareAndSwap(
        _ key: StoreKey, expecting cas: StoreItem.CAS, value: [UInt8], expiry: Duration?
    ) async throws -> StoreWrite {
        let now = clock.now
        let expiry = try expiryTime(expiry)
        return try items.withLock { items in
            guard items.item(key, at: now, isUse: false)?.cas == cas else { return .notStored }
            return .stored(try items.store(value, under: key, until: expiry))
        }
    }

    /// Stores values that nobody else ever writes.
    public func writeUnique(_ writes: [UniqueValue]) async -> [Result<StoreWrite, any Error>] {
        var outcomes: [Result<StoreWrite, any Error>] = []
        for write in writes {
            outcomes.append(
                await .of {
                    try await self.writeUnique(write.key, value: write.value, over: write.over, expiry: write.expiry)
                })
        }
        return outcomes
    }

    /// Removes what stands there.
    public func delete(_ key: StoreKey) async throws -> Bool {
        let now = clock.now
        return items.withLock { items in
            let stood = items.item(key, at: now, isUse: false) != nil
            items.remove(key)
            return stood
        }
    }

    private func expiryTime(_ expiry: Duration?) throws -> WallTime? {
        guard let expiry else { return nil }
        guard expiry > .zero else {
            throw CacheError(.invalidDuration, "an expiry of \(expiry) is not positive: give a longer one, or nil")
        }
        return clock.now + expiry
    }
}
