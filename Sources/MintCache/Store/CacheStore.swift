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

    /// Reads several items, in the order of `keys`, in one round trip (one per server, at the same time, on a fleet)
    /// unless they are more than the store asks for at once.
    ///
    /// The items need not have stood in the store all at one moment.
    func get(_ keys: [StoreKey]) async throws -> [StoreItem?]

    /// Reads an item and others that go with it: the same as ``get(_:)-([StoreKey])``, which it is by default, for
    /// stores that can spare making and taking apart the lists. There are as many `others` as were asked for.
    func get(_ key: StoreKey, with others: [StoreKey]) async throws -> (item: StoreItem?, others: [StoreItem?])

    /// Reads an item in order to write over it: the same as ``get(_:)-(StoreKey)``, which it is by default. A store that
    /// evicts what is not used does not take it for a use.
    func getForUpdate(_ key: StoreKey) async throws -> StoreItem?

    /// Stores a value whatever stood there.
    ///
    /// - Parameter expiry: how long to keep the item at least, room permitting; `nil` is for ever.
    /// - Throws: ``CacheError`` with code `valueTooLarge` for a value over the store's limit: then what stood under
    ///   the key may be gone. With `invalidDuration` for an expiry that is not positive.
    func set(_ key: StoreKey, to value: [UInt8], expiry: Duration?) async throws

    /// Stores a value if nothing stands there, and says whether it did.
    ///
    /// - Throws: as ``set(_:to:expiry:)``.
    func add(_ key: StoreKey, _ value: [UInt8], expiry: Duration?) async throws -> Bool

    /// Stores a value if the item with this CAS id still stands there, and says whether it did.
    ///
    /// - Throws: as ``set(_:to:expiry:)``.
    func compareAndSwap(
        _ key: StoreKey, expecting cas: StoreItem.CAS, with value: [UInt8], expiry: Duration?
    ) async throws -> Bool

    /// Removes what stands there, and says whether anything did.
    func delete(_ key: StoreKey) async throws -> Bool
}

extension CacheStore {
    /// Reads an item in order to write over it.
    public func getForUpdate(_ key: StoreKey) async throws -> StoreItem? { try await get(key) }

    /// Reads an item and others that go with it.
    public func get(
        _ key: StoreKey, with others: [StoreKey]
    ) async throws -> (item: StoreItem?, others: [StoreItem?]) {
        let items = try await get([key] + others)
        guard items.count == others.count + 1 else {
            throw CacheError(
                .storeFailure,
                "the store gave \(items.count) items for \(others.count + 1) keys: get(_:) is to give one for each")
        }
        return (items[0], Array(items.dropFirst()))
    }
}

/// A value as it stands in a store.
public struct StoreItem: Sendable, Equatable {
    /// The number that a store gives to one state of one item, to compare and swap against. It is never 0: memcached
    /// takes 0 for "no CAS id" and answers with garbage.
    public struct CAS: RawRepresentable, Sendable, Hashable {
        /// The store's number.
        public let rawValue: UInt64

        /// Makes a CAS id; `nil` for 0.
        public init?(rawValue: UInt64) {
            guard rawValue != 0 else { return nil }
            self.rawValue = rawValue
        }
    }

    /// The array that the bytes are in, which others may share, and where. With a slice in their place an item would be
    /// five words, and functions return four in registers.
    private let array: [UInt8]
    private let range: Range<Int>
    /// The item's CAS id.
    public let cas: CAS

    /// The bytes: a slice of an array that other items may share. Whoever keeps it, or the item, keeps all of the array,
    /// which `MemcachedStore` makes 64 KB large; `Array(value)` does not.
    public var value: ArraySlice<UInt8> { array[range] }

    /// Makes an item.
    public init(value: [UInt8], cas: CAS) { self.init(at: value.indices, of: value, cas: cas) }

    /// Makes an item of some of an array's bytes.
    package init(at range: Range<Int>, of array: [UInt8], cas: CAS) {
        self.array = array
        self.range = range
        self.cas = cas
    }

    /// Whether two items have the same bytes and CAS id.
    public static func == (left: StoreItem, right: StoreItem) -> Bool {
        left.cas == right.cas && left.value == right.value
    }
}
