/// Whether a server is asked at all, from how its exchanges ended. A circuit breaker (M. Nygard, *Release It!*, 2007)
/// without I/O: it is told what happened, and says what may be done. Times are nanoseconds.
///
/// An exchange counts once, however many calls it has. A connection that cannot be made opens the breaker at once,
/// since whoever tries next waits as long; of time-outs it takes some in a row, as one may be a single slow answer.
struct Breaker {
    private enum State {
        case closed
        /// The server is not asked. From a time on it is probed.
        case open(probeAt: UInt64, pause: UInt64)
    }

    /// Failures that are further apart than this are not in a row.
    static let window: UInt64 = 10_000_000_000
    static let firstPause: UInt64 = 100_000_000
    static let longestPause: UInt64 = 1_000_000_000

    private let failuresToOpen: Int
    private var state = State.closed
    private var failures = 0
    private var lastFailure: UInt64 = 0

    init(failuresToOpen: Int) { self.failuresToOpen = failuresToOpen }

    var isOpen: Bool {
        if case .open = state { true } else { false }
    }

    /// Until when not to probe; `nil` while it is closed.
    var probeAt: UInt64? {
        if case .open(let time, _) = state { time } else { nil }
    }

    /// The server answered.
    mutating func succeed() {
        state = .closed
        failures = 0
    }

    /// An exchange, or a probe, failed at a time.
    ///
    /// - Parameter isConnecting: whether the server could not even be reached.
    mutating func fail(at time: UInt64, isConnecting: Bool) {
        failures = time - min(time, lastFailure) > Self.window ? 1 : failures + 1
        lastFailure = time
        switch state {
        case .closed where isConnecting || failures >= failuresToOpen:
            state = .open(probeAt: time + Self.firstPause, pause: Self.firstPause)
        case .closed: break
        case .open(let probeAt, let pause):
            // What was under way when it opened is no probe.
            guard time >= probeAt else { return }
            let longer = min(pause * 2, Self.longestPause)
            state = .open(probeAt: time + longer, pause: longer)
        }
    }
}
