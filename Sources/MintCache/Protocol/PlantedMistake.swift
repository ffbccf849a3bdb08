import Synchronization

/// A mistake in the protocol that a test plants, to see that it would be noticed. It can be planted in debug builds
/// only: no release build has more of this than names.
package enum PlantedMistake: UInt8, CaseIterable, Sendable {
    /// A fill does not look whether the register still carries its token.
    case fillWithoutToken = 1
    /// Whoever finds a running lease waits for its load, whatever the stamps.
    case joinWhateverTheStamps
    /// A value is served whatever the stamps.
    case serveWhateverTheStamps
    /// A lease is taken over while it runs.
    case impatience
    /// A lease under other stamps is taken over at first sight.
    case noSecondLook
    /// The lease of a load that has ended is taken over although its fill is under way.
    case takeOverLanded
    /// A refresh takes over a lease that runs.
    case refreshTakesOver
    /// A lease is prolonged whatever stands there.
    case prolongWhateverStands
    /// A lease is prolonged while the fill is under way.
    case prolongDuringFill
    /// A load that could not fill leaves its lease behind, for everybody to wait for.
    case leaveLeaseBehind
    /// The invalidation of a group spares a server.
    case spareServer
    /// A lease forgets the window of the mark that it replaces.
    case forgetWindow
    /// Expiring a key spares a load that is under way.
    case spareExpiredPending
    /// An invalidation spares the other versions.
    case spareVersion
    /// A version keeps stamps of its own.
    case stampsOfVersion
    /// Expiring a group writes over whatever stamp stands there.
    case reviveStamp
    /// Stamps are read from another server than the value, by a store.
    case stampsOfAnotherServer
    /// A claim keeps the value's stamps in place of those that were read.
    case claimUnderOldStamps
    /// A lease is taken for confirmed whatever was read back. It is the stores that read back.
    case confirmWhateverStands
    /// A CAS id that was told is used over a restart of its server, by a store.
    case toldOverRestart
    /// A value is served whatever the list of servers is that it was cached under.
    case acceptAnyList
    /// An invalidation spares the server that another list has the key on.
    case spareOtherList
    /// A value is served in place of an error whatever the stamps.
    case keepWhateverTheStamps
    /// A load begins although as many run as may.
    case spareGate
    /// A value that is held for when the store is away is served although it was invalidated here.
    case holdInvalidated
    /// What could not be invalidated is served here as before.
    case forgetPending
    /// What was read while an invalidation of it was to be repeated is served when that has succeeded.
    case trustPendingRead
    /// The stamps of groups that a load returns are read when it has ended.
    case stampsOfReturnedGroupsAtFill

    #if DEBUG
    private static let planted = Atomic<UInt8>(0)

    /// Plants a mistake in this process, or none.
    package static func plant(_ mistake: PlantedMistake?) {
        planted.store(mistake?.rawValue ?? 0, ordering: .relaxed)
    }

    package var isPlanted: Bool { Self.planted.load(ordering: .relaxed) == rawValue }
    #else
    @inline(__always)
    package var isPlanted: Bool { false }
    #endif
}
