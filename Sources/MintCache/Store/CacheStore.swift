/// What the key protocol needs from a store: a map from keys to items with compare-and-swap.
///
/// A store may lose any item at any moment (eviction, expiry, flush, restart); the protocol counts on nothing more
/// than this:
///
/// - each operation on one key is atomic, and what an operation wrote is seen by every later read until it is lost;
/// - the CAS id of an item differs from that of every item that stood under the key before it;
/// - an operation that throws may have taken effect, now or later.
///
/// Any `throw` but `CancellationError` is taken as store trouble.
public protocol CacheStore: Sendable {
    /// Reads one item; `nil` when there is none.
    func get(_ key: StoreKey) async throws -> StoreItem?

    /// Reads several items, in the order of `keys`, in one round trip (one per part, at the same time) unless they are
    /// more than the store asks for at once.
    ///
    /// The items need not have stood in the store all at one moment.
    func get(_ keys: [StoreKey]) async throws -> [StoreItem?]

    /// Reads an item, and others *beside* it: from the part of the store that has the item. For a store of one part that is
    /// the same as ``get(_:)-([StoreKey])``, which it is by default. There are as many `others` as were asked for.
    func get(_ key: StoreKey, with others: [StoreKey]) async throws -> (item: StoreItem?, others: [StoreItem?])

    /// Writes values beside an item, each as ``writeUnique(_:value:over:expiry:)`` does, and then reads as ``get(_:with:)`` does.
    /// By default one after the other; a store may do all of it in one round trip.
    func get(
        _ key: StoreKey, with others: [StoreKey], after writes: [UniqueValue]
    ) async throws -> (item: StoreItem?, others: [StoreItem?])

    /// Reads an item in order to write over it: the same as ``get(_:)-(StoreKey)``, which it is by default. A store
    /// that evicts what is not used does not take it for a use.
    func getForUpdate(_ key: StoreKey) async throws -> StoreItem?

    /// Stores a value whatever stood there.
    ///
    /// - Parameter expiry: how long to keep the item at least, room permitting; `nil` is for ever.
    /// - Throws: ``CacheError`` with code `valueTooLarge` for a value over the store's limit: then what stood under
    ///   the key may be gone. With `invalidDuration` for an expiry that is not positive.
    func set(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws

    /// Stores a value if nothing stands there.
    ///
    /// - Throws: as ``set(_:value:expiry:)``.
    func add(_ key: StoreKey, value: [UInt8], expiry: Duration?) async throws -> StoreWrite

    /// Stores a value if the item with this CAS id still stands there.
    ///
    /// - Throws: as ``set(_:value:expiry:)``.
    func compareAndSwap(
        _ key: StoreKey, expecting cas: StoreItem.CAS, value: [UInt8], expiry: Duration?
    ) async throws -> StoreWrite

    /// Stores a value that nobody else ever writes under the key, over the item with a CAS id or, without one, where
    /// nothing stands. The same as the two above, which it is by default; but since the value is unique, a store may
    /// find out what became of the write by reading.
    ///
    /// A CAS id that this store has told of a write, and not by a read, may be from before the server was restarted:
    /// where that is possible, the store writes nothing and says `notStored`.
    ///
    /// - Throws: as ``set(_:value:expiry:)``.
    func writeUnique(
        _ key: StoreKey, value: [UInt8], over cas: StoreItem.CAS?, expiry: Duration?
    ) async throws -> StoreWrite

    /// Stores several values that nobody else ever writes, each as ``writeUnique(_:value:over:expiry:)`` does, in as few round
    /// trips as the store can: by default all at the same time.
    ///
    /// - Returns: what became of each, in their order.
    func writeUnique(_ writes: [UniqueValue]) async -> [Result<StoreWrite, any Error>]

    /// Removes what stands there, and says whether anything did.
    func delete(_ key: StoreKey) async throws -> Bool

    // MARK: Parts

    /// The parts that any process may read from at this moment, like the servers of a fleet. By default a store is its
    /// only part, and need not know of this.
    ///
    /// What goes with a value is read from the part that has the value, and written to all parts. So all processes have
    /// to agree on the parts: a store that wraps another hands on all that is under this heading.
    var parts: [StorePart] { get }

    /// The part that has a key. A load that began there ends there, wherever the key may be by then.
    func part(of key: StoreKey) -> StorePart

    /// Those of the parts that any process may read a key from: more than one while they change.
    func parts(of key: StoreKey) -> [StorePart]

    /// The number of the list of parts, which grows with each change of it. By default 0.
    var listNumber: UInt32 { get }

    /// Whether what was cached under another list of parts is good under this one: all processes that may have
    /// invalidated it since have done so in the part that it is read from. By default only what was cached under the
    /// same number.
    func accepts(listNumber: UInt32, for key: StoreKey) -> Bool
}

/// A value that nobody else ever writes under its key.
public struct UniqueValue: Sendable, Equatable {
    /// Under which key.
    public var key: StoreKey
    /// The value.
    public var value: [UInt8]
    /// Over which item; `nil` for where nothing stands.
    public var over: StoreItem.CAS?
    /// How long the store keeps it; `nil` for ever.
    public var expiry: Duration?

    /// Makes one.
    public init(_ key: StoreKey, value: [UInt8], over cas: StoreItem.CAS? = nil, expiry: Duration? = nil) {
        self.key = key
        self.value = value
        self.expiry = expiry
        over = cas
    }
}

extension CacheStore {
    /// Stores a value that nobody else ever writes under the key.
    public func writeUnique(
        _ key: StoreKey, value: [UInt8], over cas: StoreItem.CAS?, expiry: Duration?
    ) async throws -> StoreWrite {
        guard let cas else { return try await add(key, value: value, expiry: expiry) }
        return try await compareAndSwap(key, expecting: cas, value: value, expiry: expiry)
    }

    /// Stores values that nobody else ever writes, all at the same time.
    public func writeUnique(_ writes: [UniqueValue]) async -> [Result<StoreWrite, any Error>] {
        await writeEach(writes)
    }

    /// Stores values that nobody else ever writes, each by itself, all at the same time.
    package func writeEach(_ writes: [UniqueValue]) async -> [Result<StoreWrite, any Error>] {
        await withTaskGroup(of: (Int, Result<StoreWrite, any Error>).self) { group in
            for (place, write) in writes.enumerated() {
                group.addTask {
                    await (
                        place,
                        .of {
                            try await self.writeUnique(
                                write.key, value: write.value, over: write.over, expiry: write.expiry)
                        }
                    )
                }
            }
            var outcomes = [Result<StoreWrite, any Error>](repeating: .success(.notStored), count: writes.count)
            for await (place, outcome) in group { outcomes[place] = outcome }
            return outcomes
        }
    }

    /// Reads an item in order to write over it.
    public func getForUpdate(_ key: StoreKey) async throws -> StoreItem? { try await get(key) }

    /// The store itself.
    public var parts: [StorePart] { [StorePart(id: 0, store: self)] }

    /// The only one.
    public func part(of key: StoreKey) -> StorePart { StorePart(id: 0, store: self) }

    /// The part that has the key.
    public func parts(of key: StoreKey) -> [StorePart] { [part(of: key)] }

    /// None.
    public var listNumber: UInt32 { 0 }

    /// Only the same number.
    public func accepts(listNumber: UInt32, for key: StoreKey) -> Bool { listNumber == self.listNumber }

    /// Writes values to the part that has the item, one after the other, and then reads.
    public func get(
        _ key: StoreKey, with others: [StoreKey], after writes: [UniqueValue]
    ) async throws -> (item: StoreItem?, others: [StoreItem?]) {
        let part = part(of: key).store
        for write in writes {
            _ = try await part.writeUnique(write.key, value: write.value, over: write.over, expiry: write.expiry)
        }
        return try await get(key, with: others)
    }

    /// Reads an item and others from the part that has the item.
    public func get(
        _ key: StoreKey, with others: [StoreKey]
    ) async throws -> (item: StoreItem?, others: [StoreItem?]) {
        let items = try await part(of: key).store.get([key] + others)
        guard items.count == others.count + 1 else {
            throw CacheError(
                .storeFailure,
                "the store gave \(items.count) items for \(others.count + 1) keys: get(_:) is to give one for each")
        }
        return (items[0], Array(items.dropFirst()))
    }
}
