import MintCache

/// What can be written. Expiries are memcached's numbers.
enum WriteOperation: Sendable {
    case set(StoreKey, [UInt8], expiry: Int)
    case add(StoreKey, [UInt8], expiry: Int)
    case compareAndSwap(StoreKey, [UInt8], cas: StoreItem.CAS, expiry: Int)
    case delete(StoreKey)
    case flush

    /// Whether it may be sent again when a broken connection left it open whether it took place.
    var isRepeatable: Bool {
        switch self {
        case .delete, .flush: true
        // Sent twice, a `set` could undo what another caller wrote between its two arrivals.
        case .set, .add, .compareAndSwap: false
        }
    }
}
