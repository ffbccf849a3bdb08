/// What stands under a value key: one state of its compare-and-swap register.
///
/// The bytes are documented in the DocC article *The envelope*; `EnvelopeCoding.swift` reads and writes them.
enum Envelope: Equatable {
    /// Nobody has a value yet; someone holds the lease to load one.
    case pending(Lease, stamps: GroupStamps)
    /// A value, fresh or stale, and perhaps a claim on refreshing it.
    case value(CachedRecord)

    /// The lease that names who may fill the register: of a pending item, or the claim on a value.
    var lease: Lease? {
        switch self {
        case .pending(let lease, _): lease
        case .value(let record): record.claim
        }
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
}

/// A cached value and what is known about it.
struct CachedRecord: Equatable, Sendable {
    /// The token of the load that filled it.
    var identity: LoadToken
    var createdAt: WallTime
    var freshUntil: WallTime
    /// How long the load took, in microseconds, at most 71 minutes.
    var loadMicroseconds: UInt32
    /// Who is refreshing it, if anyone.
    var claim: Lease?
    /// The stamps of its groups when its load began, in the order of the group keys.
    var stamps: GroupStamps
    var payload: Payload

    /// Whether it is a hit: what ``ReadMachine/Action/serve(_:)`` would serve, without going through the machine.
    func isHit(under stamps: GroupStamps, by clock: some CacheClock) -> Bool {
        isCurrent(under: stamps) && !clock.hasReached(freshUntil)
    }

    /// Whether it may be served, fresh or stale: its groups are as they were, and the stale window is not over.
    func isServable(under stamps: GroupStamps, at now: WallTime, staleFor: Duration) -> Bool {
        isCurrent(under: stamps) && (now < freshUntil || now < freshUntil + staleFor)
    }

    private func isCurrent(under stamps: GroupStamps) -> Bool {
        self.stamps == stamps || PlantedMistake.serveWhateverTheStamps.isPlanted
    }
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
