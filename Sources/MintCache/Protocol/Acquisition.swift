/// The write that takes the lease on a register.
struct Acquisition: Equatable {
    var token: LoadToken
    /// The stamps that were read before, which a fill under this lease carries.
    var stamps: GroupStamps
    /// The groups that the value which stood there had of its own, with the stamps that were read before, too.
    var own: [OwnGroup] = []
    /// The item to swap; `nil` to add where there is none.
    var over: StoreItem.CAS?
    var envelope: Envelope
    var expiry: Duration
    /// Until when the values of loads that begin are settling.
    var settlingUntil = WallTime.never
    /// How long the register is kept when it has been given back.
    var releasedExpiry = Fill.releasedExpiry
    /// Until when ``kept`` was fresh, under the stamps that were read.
    var keptFreshUntil = WallTime.never

    /// What takes the lease.
    var lease: Fill.Write { Fill.Write(envelope: envelope, expiry: expiry) }

    /// Whether the window in which the lease was taken is over: what was loaded in it is not shared any more.
    func hasSettled(by now: WallTime) -> Bool { settlingUntil != .never && settlingUntil <= now }

    /// The value that stays while it is refreshed.
    var kept: CachedRecord? {
        if case .value(let record) = envelope { record } else { nil }
    }
}
