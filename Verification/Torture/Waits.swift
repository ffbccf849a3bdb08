/// How long each call may take, for I4: as long as a load of its row takes, and twice more where it may share none, as
/// a refresh may not that waits for one; as one lease of a process that was killed; and what the time-outs of its
/// operations add up to.
struct Waits {
    /// Two reads, and what takes the lease: half a second each, twice where the connection broke, and a busy machine.
    private static let timeouts = Duration.milliseconds(3800)
    /// By which the clocks of two processes may differ.
    private static let skew = Duration.seconds(1)

    /// By row, in the order in which they began.
    private let loads: [Int: [Event]]
    private let stops: [Stop]
    private let kills: [Int64]

    init(_ events: [Event], stops: [Stop], kills: [Int64]) {
        loads = Dictionary(grouping: events.filter { $0.kind == .load }) { $0.row % SharedDatabase.rows }
        self.stops = stops
        self.kills = kills
    }

    /// Nanoseconds.
    func allowed(for call: Event) -> Int64 {
        var allowed = Self.timeouts.nanoseconds
        // Most calls are much shorter.
        guard call.end - call.begin > allowed else { return allowed }
        let loads = loads[call.row, default: []].filter { $0.begin <= call.end && call.begin <= $0.end }
        allowed += 3 * (loads.map { $0.end - $0.begin }.max() ?? 0)
        // A process that is stopped loads for as long.
        for stop in stops where stop.begin <= call.end && call.begin <= stop.end { allowed += stop.end - stop.begin }
        let lease = ClientPlan.longestLease.nanoseconds
        if kills.contains(where: { $0 <= call.end && call.begin <= $0 + lease }) {
            allowed += lease + Self.skew.nanoseconds
        }
        return allowed
    }
}

extension Duration {
    fileprivate var nanoseconds: Int64 { Int64(self / .nanoseconds(1)) }
}
