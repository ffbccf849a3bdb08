/// Whether a worker goes on with the tasks that it has answered itself, or leaves them to the global executor.
///
/// Going on itself saves waking a thread, and is right for tasks that soon wait again. Where tasks keep the thread, the
/// connection has to wait for them; so slow tasks may take a twentieth of the worker's time, and when they have had it,
/// the worker leaves tasks to the global executor until they are even (a leaky bucket). They may be ahead by as much as
/// one task that kept the thread until it was relieved: what looks slow now and then is mostly a thread that had no
/// processor, or an interrupt.
struct Pace {
    private static let factor: UInt64 = 20
    /// In nanoseconds.
    static let ahead = Watchdog.longestTurn

    /// When slow tasks are even, in nanoseconds of the clock.
    private var even: UInt64 = 0

    /// Whether to go on with the next tasks.
    func allowsNext(at time: UInt64) -> Bool { time >= even }

    /// Notes that tasks kept the thread for so many nanoseconds, up to a time.
    mutating func note(slow duration: UInt64, at time: UInt64) {
        let longAgo = Self.factor * Self.ahead
        even = max(even, time < longAgo ? 0 : time - longAgo) + Self.factor * duration
    }
}
