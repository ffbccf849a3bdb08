/// Something that happened to one key, for statistics, logs and metrics.
public struct CacheEvent: Sendable {
    /// What can happen. More kinds may be added, so a `switch` over them needs a `default`.
    public struct Kind: Sendable, Hashable, CustomStringConvertible {
        private enum Name: String {
            case hit, stale, miss, load, loadFailed, fill, fillDropped, notCached, storeTrouble, invalidation
        }

        private let name: Name

        private init(_ name: Name) { self.name = name }

        /// The name of the kind.
        public var description: String { name.rawValue }

        /// A call was served a fresh value.
        public static let hit = Kind(.hit)
        /// A call was served a stale value while someone refreshes it.
        public static let stale = Kind(.stale)
        /// A call was served by its own load or one that it shared.
        public static let miss = Kind(.miss)
        /// A loader was started.
        public static let load = Kind(.load)
        /// A loader threw ``CacheEvent/error``.
        public static let loadFailed = Kind(.loadFailed)
        /// A loaded value was stored.
        public static let fill = Kind(.fill)
        /// A loaded value was not stored, because its key was invalidated, taken over or lost during the load.
        public static let fillDropped = Kind(.fillDropped)
        /// A loaded value could not be encoded or is too large, and was not stored: see ``CacheEvent/error``.
        public static let notCached = Kind(.notCached)
        /// The store failed and the protocol went on without it: see ``CacheEvent/error``.
        public static let storeTrouble = Kind(.storeTrouble)
        /// A key or a group was invalidated.
        public static let invalidation = Kind(.invalidation)
    }

    /// What happened.
    public var kind: Kind
    /// To which key: a value key, or the generation key of a group.
    public var key: StoreKey
    /// Why, for the kinds that say so.
    public var error: (any Error)?
}

/// Is told everything that happens in a cache.
///
/// It is called on the way of every call, from any task: it must be quick and must not wait.
public protocol CacheObserver: Sendable {
    /// Something happened.
    func record(_ event: CacheEvent)
}
