import MintCache

/// What can be written. Expiries are memcached's numbers.
enum WriteOperation: Sendable {
    case set(StoreKey, [UInt8], expiry: Int)
    case add(StoreKey, [UInt8], expiry: Int)
    case compareAndSwap(StoreKey, [UInt8], cas: StoreItem.CAS, expiry: Int)
    case delete(StoreKey)
    case flush

    /// The write of a value that nobody else ever writes, over an item or where nothing stands.
    init(unique value: [UInt8], to key: StoreKey, over cas: StoreItem.CAS?, expiry: Int) {
        self = cas.map { .compareAndSwap(key, value, cas: $0, expiry: expiry) } ?? .add(key, value, expiry: expiry)
    }

    /// Whether it may be sent again when a broken connection left it open whether it took place.
    var isRepeatable: Bool {
        switch self {
        case .delete, .flush: true
        // Sent twice, a `set` could undo what another caller wrote between its two arrivals.
        case .set, .add, .compareAndSwap: false
        }
    }

    /// Whether it makes something invalid: that is tried even when the server did not answer a moment ago.
    var isInvalidation: Bool {
        switch self {
        case .set, .delete, .flush: true
        case .add, .compareAndSwap: false
        }
    }

    /// The key that it writes under; `nil` for all.
    var key: StoreKey? {
        switch self {
        case .set(let key, _, _), .add(let key, _, _), .compareAndSwap(let key, _, _, _), .delete(let key): key
        case .flush: nil
        }
    }

    /// What it stores.
    var value: [UInt8] {
        switch self {
        case .set(_, let value, _), .add(_, let value, _), .compareAndSwap(_, let value, _, _): value
        case .delete, .flush: []
        }
    }

    /// The CAS id that has to stand there.
    var expected: StoreItem.CAS? {
        if case .compareAndSwap(_, _, let cas, _) = self { cas } else { nil }
    }
}
