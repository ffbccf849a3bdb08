/// Whether a worker goes on with the tasks that it has answered itself, or leaves them to the global executor.
///
/// Going on itself saves waking a thread, and is right for tasks that soon wait again. Where tasks kept the thread, the
/// connection had to wait for them; so the worker leaves tasks to the global executor for twenty times as long, and
/// slow tasks take at most a twentieth of its time.
struct Pace {
    private static let pauseFactor: UInt64 = 20

    /// In nanoseconds of the clock.
    private var pauseEnd: UInt64 = 0

    /// Whether to go on with the next tasks.
    func allowsNext(at time: UInt64) -> Bool { time >= pauseEnd }

    /// Notes that tasks kept the thread for so many nanoseconds, up to a time.
    mutating func note(slow duration: UInt64, at time: UInt64) {
        pauseEnd = time + Self.pauseFactor * duration
    }
}
