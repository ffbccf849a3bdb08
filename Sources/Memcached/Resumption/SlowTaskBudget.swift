/// How much of a thread's time slow tasks may have.
///
/// Going on with a task where its reply is saves waking a thread, and is right for tasks that soon wait again. While a
/// slow one runs, the connection waits for it. So slow tasks may take a twentieth of the thread's time, and when they
/// have had it, tasks go on elsewhere until they are even (a leaky bucket). They may be ahead by as much as one task
/// that kept the thread until it lost its role: what looks slow now and then is mostly a thread that had no processor,
/// or an interrupt.
struct SlowTaskBudget {
    private static let factor: UInt64 = 20
    /// In nanoseconds.
    static let ahead = Timekeeper.longestTurn

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
