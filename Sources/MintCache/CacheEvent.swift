/// Something that happened to one key, for statistics, logs and metrics.
public struct CacheEvent: Sendable {
    /// What can happen. More kinds may be added, so a `switch` over them needs a `default`.
    public struct Kind: Sendable, Hashable, CustomStringConvertible {
        private enum Name: String {
            case hit, stale, held, miss, load, loaded, loadFailed, loadRefused, loadTimedOut, failureShared,
                loadOverran, fill,
                fillDropped, notCached
            case storeTrouble, stampPlanted, stampLost, invalidation, expiry, invalidationFailed, invalidationLost,
                duplicateFunction
            case changedByCodec, mismatch
        }

        private let name: Name

        private init(_ name: Name) { self.name = name }

        /// The name of the kind.
        public var description: String { name.rawValue }

        /// A call was served a fresh value.
        public static let hit = Kind(.hit)
        /// A call was served a stale value while someone refreshes it, or, with the reason `recentFailure`, in the
        /// pause after a load that failed.
        public static let stale = Kind(.stale)
        /// A call was served a value that this process holds, since the store could not be asked: see
        /// ``CachePolicy/WhenAway/serveHeld(for:)``.
        public static let held = Kind(.held)
        /// A call was served by its own load or one that it shared: see ``CacheEvent/reason``.
        public static let miss = Kind(.miss)
        /// A loader was started.
        public static let load = Kind(.load)
        /// A loader returned.
        public static let loaded = Kind(.loaded)
        /// A loader threw ``CacheEvent/error``.
        public static let loadFailed = Kind(.loadFailed)
        /// A call failed because as many loads run as may, and as many wait for their turn.
        public static let loadRefused = Kind(.loadRefused)
        /// A call did not wait longer for a load that takes its time.
        public static let loadTimedOut = Kind(.loadTimedOut)
        /// A call was given the error of a load that failed before, in place of a load of its own.
        public static let failureShared = Kind(.failureShared)
        /// A load goes on although its first lease is over: `leaseFor` is too short for it.
        public static let loadOverran = Kind(.loadOverran)
        /// A loaded value was stored.
        public static let fill = Kind(.fill)
        /// A loaded value was not stored, because its key was invalidated, taken over or lost during the load.
        public static let fillDropped = Kind(.fillDropped)
        /// A loaded value could not be encoded or is too large, and was not stored: see ``CacheEvent/error``.
        public static let notCached = Kind(.notCached)
        /// The store failed and the protocol went on without it: see ``CacheEvent/error``.
        public static let storeTrouble = Kind(.storeTrouble)
        /// A group had no stamp, as it is new or the store has lost it, and was given one.
        public static let stampPlanted = Kind(.stampPlanted)
        /// A group had a stamp, by a value in it, and the store has lost it: all values of the group are misses.
        public static let stampLost = Kind(.stampLost)
        /// A key or a group was expired.
        public static let expiry = Kind(.expiry)
        /// A key or a group was invalidated.
        public static let invalidation = Kind(.invalidation)
        /// An invalidation failed, for ``CacheEvent/error``. It is thrown, or it is going to be repeated.
        public static let invalidationFailed = Kind(.invalidationFailed)
        /// An invalidation that was to be repeated has been given up, for ``CacheEvent/error``.
        public static let invalidationLost = Kind(.invalidationLost)
        /// Two different functions have one name, and so each other's values: see ``CacheEvent/error``.
        public static let duplicateFunction = Kind(.duplicateFunction)
        /// A value does not come back from its codec as it was: see ``CacheEvent/error``.
        public static let changedByCodec = Kind(.changedByCodec)
        /// What is served is not what the loader says: see ``CacheAudit``. With the reason `expired` it was served stale, as
        /// `staleFor` allows.
        public static let mismatch = Kind(.mismatch)
    }

    /// Why a call was not served what is cached. More reasons may be added.
    public struct Reason: Sendable, Hashable, CustomStringConvertible {
        private enum Name: String {
            case absent, expired, groupInvalidated, stampLost, otherGroups, otherFormat, undecodable, foreignBytes
            case disabled, laterEnvelope, otherServers, storeTrouble, refresh, recentFailure, invalidationPending,
                loadLimit,
                loadTimeout
        }

        private let name: Name

        private init(_ name: Name) { self.name = name }

        /// The name of the reason.
        public var description: String { name.rawValue }

        /// Nothing was cached, or it was being loaded for the first time.
        public static let absent = Reason(.absent)
        /// The value is too old, or it or a group of it was expired.
        public static let expired = Reason(.expired)
        /// A group of the value was invalidated.
        public static let groupInvalidated = Reason(.groupInvalidated)
        /// The store lost the stamp of a group, and with it all values of the group.
        public static let stampLost = Reason(.stampLost)
        /// The value was cached with other groups: some process gives the same function other groups.
        public static let otherGroups = Reason(.otherGroups)
        /// The value was cached in another format, or of another type.
        public static let otherFormat = Reason(.otherFormat)
        /// The codec refuses what it has encoded itself, or what was damaged.
        public static let undecodable = Reason(.undecodable)
        /// What is stored under the key is damaged, another key's or another program's.
        public static let foreignBytes = Reason(.foreignBytes)
        /// What is stored under the key is of a later version of this package.
        public static let laterEnvelope = Reason(.laterEnvelope)
        /// The value was cached under a list of servers that is not this process's, nor the one beside it.
        public static let otherServers = Reason(.otherServers)
        /// The store could not be asked, or would not take a lease.
        public static let storeTrouble = Reason(.storeTrouble)
        /// The cache is switched off.
        public static let disabled = Reason(.disabled)
        /// The call was a `refresh`.
        public static let refresh = Reason(.refresh)
        /// The last load failed a moment ago.
        public static let recentFailure = Reason(.recentFailure)
        /// As many loads run as may.
        public static let loadLimit = Reason(.loadLimit)
        /// The load takes longer than a call waits for one.
        public static let loadTimeout = Reason(.loadTimeout)
        /// An invalidation of the value has failed here and is being repeated.
        public static let invalidationPending = Reason(.invalidationPending)
    }

    /// What happened.
    public var kind: Kind
    /// To which key: a value key, or the generation key of a group.
    public var key: StoreKey
    /// The name of the cached function; empty for a group, and for a value by key.
    public var function: String
    /// Why a call missed, or was served a stale value.
    public var reason: Reason?
    /// Why, for the kinds that say so.
    public var error: (any Error)?
    /// How long the load took, for what came of one: `loaded`, `fill`, `fillDropped` and `loadFailed`.
    public var duration: Duration?
    /// Whether a miss was served by the load of another call.
    public var isShared: Bool

    /// Makes an event.
    public init(
        kind: Kind, key: StoreKey, function: String = "", reason: Reason? = nil, error: (any Error)? = nil,
        duration: Duration? = nil, isShared: Bool = false
    ) {
        self.kind = kind
        self.key = key
        self.function = function
        self.reason = reason
        self.error = error
        self.duration = duration
        self.isShared = isShared
    }
}

/// Is told everything that happens in a cache.
///
/// It is called on the way of every call, from any task: it must be quick and must not wait.
public protocol CacheObserver: Sendable {
    /// Something happened.
    func record(_ event: CacheEvent)
}
