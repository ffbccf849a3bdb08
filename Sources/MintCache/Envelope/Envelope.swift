/// What stands under a value key: one state of its compare-and-swap register.
///
/// The bytes are documented in the DocC article *The envelope*; `EnvelopeCoding.swift` reads and writes them.
enum Envelope: Equatable {
    /// Nobody has a value yet; someone holds the lease to load one.
    case pending(Lease, stamps: GroupStamps)
    /// A value, fresh or stale, and perhaps a claim on refreshing it.
    case value(CachedRecord)
    /// Nothing, in place of what was invalidated: the values of loads that begin until then are settling.
    case mark(settlingUntil: WallTime)
    /// Of a later version of the envelope, of which only the lease can be read.
    case later(Lease?)

    /// The lease that names who may fill the register: of a pending item, or the claim on a value.
    var lease: Lease? {
        switch self {
        case .pending(let lease, _): lease
        case .value(let record): record.lease
        case .mark: nil
        case .later(let lease): lease
        }
    }

    /// Until when the values of loads that begin are settling, as far as the register says.
    var settlingUntil: WallTime {
        if case .mark(let time) = self { time } else { lease?.settlingUntil ?? .never }
    }
}

/// A random number that names one load, so that only the load whose token still stands in the store may fill it.
struct LoadToken: RawRepresentable, Hashable, Sendable {
    let rawValue: UInt64

    static func random() -> LoadToken { LoadToken(rawValue: .random(in: 0 ... .max)) }
}

/// The right of one load to fill a register, and until when others wait for it.
struct Lease: Equatable, Sendable {
    var token: LoadToken
    var until: WallTime
    /// The end of the window in which it was taken.
    var settlingUntil = WallTime.never
    /// Whether its key was expired after it was taken: what it loads is stale at once.
    var isExpired = false
}

/// A cached value and what is known about it.
struct CachedRecord: Equatable, Sendable {
    /// The token of the load that filled it.
    var identity: LoadToken
    var createdAt: WallTime
    var freshUntil: WallTime
    /// How long the load took, in microseconds, at most 71 minutes.
    var loadMicroseconds: UInt32
    /// Whether it may be what a lagging replica said, and is never served stale.
    var isSettling = false
    /// Whether its key was expired since its load began: it is stale, since `freshUntil` or before, by every clock.
    var isExpired = false
    /// The number of the list of servers under which its load began.
    var list: UInt32 = 0
    /// Who is refreshing it, if anyone.
    var claim: Lease?
    /// The stamps of its groups when its load began, in the order of the group keys.
    var stamps: GroupStamps
    /// What its load said of it, if anything.
    var terms: ValueTerms?
    var payload: Payload

    /// Whether it is a hit: what ``ReadMachine/Action/serve(_:)`` would serve, without going through the machine.
    func isHit(under reading: GroupReading, by clock: some CacheClock) -> Bool {
        guard let freshness = freshness(under: reading), !freshness.isExpired else { return false }
        return !clock.hasReached(freshness.until)
    }

    /// How fresh it is under the stamps that were read; `nil` when it is invalid under them: the first rule of a read.
    @inline(__always)
    func freshness(under reading: GroupReading) -> Freshness? {
        let freshness = freshness(underFunctions: reading)
        guard let terms, !terms.groups.isEmpty else { return freshness }
        return freshness.flatMap { reading.freshness(of: $0, in: terms.groups) }
    }

    private func freshness(underFunctions reading: GroupReading) -> Freshness? {
        if stamps == reading.stamps || PlantedMistake.serveWhateverTheStamps.isPlanted {
            return Freshness(until: freshUntil, isExpired: isExpired)
        }
        guard stamps.areOfSameGenerations(as: reading.stamps) else { return nil }
        return Freshness(until: min(freshUntil, reading.expiredAt), isExpired: true)
    }
}

/// How fresh a value is.
struct Freshness: Equatable {
    /// Until when it is fresh, or was; until when it may be served stale is counted from then.
    var until: WallTime
    /// Whether it is stale by every clock.
    var isExpired = false

    func isFresh(at now: WallTime) -> Bool { !isExpired && now < until }
}

/// What was read under the generation keys of a value's groups.
struct GroupReading: Equatable, Sendable {
    var stamps = GroupStamps()
    /// When the last one of them was expired.
    var expiredAt = WallTime.never
    /// Until when the values of loads that begin are settling.
    var settlingUntil = WallTime.never
    /// What was read under the generation keys of groups that the value has of its own, in their order; `nil` when that was
    /// not read yet.
    var own: [Generation]?

    /// How fresh a value is in groups of its own.
    func freshness(of value: Freshness, in groups: [OwnGroup]) -> Freshness? {
        guard let own, own.count == groups.count else { return nil }
        var value = value
        for (group, generation) in zip(groups, own) where group.stamp != generation.stamp {
            guard group.stamp.hard == generation.stamp.hard else { return nil }
            value = Freshness(until: min(value.until, generation.expiredAt), isExpired: true)
        }
        return value
    }

    mutating func append(_ generation: Generation) {
        stamps.append(generation.stamp)
        expiredAt = max(expiredAt, generation.expiredAt)
        settlingUntil = max(settlingUntil, generation.settlingUntil)
    }
}

extension WallTime {
    /// Before all times that matter.
    static let never = WallTime(microseconds: 0)
}

/// The bytes of a value and a number that says how to read them.
///
/// The protocol never looks into either. A value read under another tag than it was written with is a miss.
public struct Payload: Equatable, Sendable {
    /// The number that stands for the format and type of the value.
    public var tag: UInt32
    /// The encoded value.
    public var bytes: ArraySlice<UInt8>

    /// Makes a payload.
    public init(tag: UInt32, bytes: ArraySlice<UInt8>) {
        self.tag = tag
        self.bytes = bytes
    }
}
