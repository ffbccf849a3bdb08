/// What stands under a key, for tools that show it to a person.
@_spi(Operators)
public struct EnvelopeReport: Sendable {
    /// What the bytes are.
    public enum Content: Sendable {
        /// A cached value.
        case value(Value)
        /// Nobody has a value yet; someone loads one.
        case pending(Claim, stamps: [Stamp])
        /// Nothing, in place of what was invalidated, with a window in which what is loaded is settling.
        case mark(settlingUntil: WallTime)
        /// The generation of a group.
        case generation(Stamp, expiredAt: WallTime?, settlingUntil: WallTime?)
        /// Of a later release.
        case later
        /// Damaged, another key's or another program's.
        case foreign
    }

    /// A cached value and what is known of it.
    public struct Value: Sendable {
        /// When its load ended.
        public let createdAt: WallTime
        /// Until when it is fresh.
        public let freshUntil: WallTime
        /// How long its load took.
        public let loadDuration: Duration
        /// Whether it was loaded in the window of an invalidation, and is never served stale.
        public let isSettling: Bool
        /// Whether it was expired by hand.
        public let isExpired: Bool
        /// The number of the list of servers under which it was loaded.
        public let list: UInt32
        /// Who refreshes it.
        public let claim: Claim?
        /// The stamps of its function's groups, in the order of the groups' keys.
        public let stamps: [Stamp]
        /// For how long it may be stale, where its load has said so.
        public let staleFor: Duration?
        /// The groups that its load has told, and their stamps.
        public let ownGroups: [(key: StoreKey, stamp: Stamp)]
        /// The number that stands for its format and type.
        public let tag: UInt32
        /// The encoded value.
        public let payload: ArraySlice<UInt8>
    }

    /// Who loads, and until when others wait for that.
    public struct Claim: Sendable {
        /// The number of the load.
        public let token: UInt64
        /// Until when others wait; a time in the past for one that has ended.
        public let until: WallTime
    }

    /// One generation of a group.
    public struct Stamp: Sendable, Hashable {
        fileprivate let stamp: GroupStamp

        /// The half that changes when the group is invalidated.
        public var generation: UInt64 { stamp.hard }
        /// Whether a read wrote it that found none, and not an invalidation.
        public var isPlanted: Bool { stamp.isPlanted }

        /// Whether it may be a stamp of a group: one of 65,536 others seems to be, too.
        public func mayBe(of group: StoreKey) -> Bool {
            stamp.isOfSameGroup(as: .random(for: group, isPlanted: false))
        }

        /// Whether the values under it are invalid under another one.
        public func isInvalid(under current: Stamp) -> Bool { stamp.hard != current.stamp.hard }
        /// Whether the values under it are stale under another one.
        public func isExpired(under current: Stamp) -> Bool { stamp != current.stamp }
    }

    /// What the bytes are.
    public let content: Content

    /// Reads the bytes of an item.
    public init(of bytes: ArraySlice<UInt8>, under key: StoreKey) {
        if let generation = EnvelopeCoding.generation(in: bytes, for: key) {
            content = .generation(
                Stamp(stamp: generation.stamp), expiredAt: generation.expiredAt.ifSet,
                settlingUntil: generation.settlingUntil.ifSet)
            return
        }
        content =
            switch EnvelopeCoding.envelope(in: bytes, for: key) {
            case .value(let record): .value(Value(record))
            case .pending(let lease, let stamps): .pending(Claim(lease), stamps: stamps.map(Stamp.init))
            case .mark(let time): .mark(settlingUntil: time)
            case .later: .later
            case nil: .foreign
            }
    }
}

extension EnvelopeReport.Claim {
    fileprivate init(_ lease: Lease) { self.init(token: lease.token.rawValue, until: lease.until) }
}

extension EnvelopeReport.Value {
    fileprivate init(_ record: CachedRecord) {
        self.init(
            createdAt: record.createdAt, freshUntil: record.freshUntil,
            loadDuration: .microseconds(Int64(record.loadMicroseconds)), isSettling: record.isSettling,
            isExpired: record.isExpired, list: record.list, claim: record.claim.map(EnvelopeReport.Claim.init),
            stamps: record.stamps.map(EnvelopeReport.Stamp.init), staleFor: record.terms?.staleFor,
            ownGroups: record.terms?.groups.map { ($0.key, EnvelopeReport.Stamp(stamp: $0.stamp)) } ?? [],
            tag: record.payload.tag, payload: record.payload.bytes)
    }
}

extension WallTime {
    fileprivate var ifSet: WallTime? { self == .never ? nil : self }
}
