/// Whether a worker goes on with the tasks that it has answered itself, or leaves them to the global executor.
///
/// Going on itself saves waking a thread, and is right for tasks that soon wait again. Where tasks turned out to keep
/// the thread, the next batch is left to the global executor; as long as that goes on, twice as many each time.
struct Pace {
    private static let longestPause = 1024

    private var pause = 0
    /// Batches yet to be left.
    private var left = 0

    /// Whether to go on with the tasks of a batch; asked once for each.
    mutating func allowsNext() -> Bool {
        guard left > 0 else { return true }
        left -= 1
        return false
    }

    /// Notes what became of a batch that was allowed.
    mutating func note(isQuick: Bool) {
        pause = isQuick ? 0 : min(max(1, pause * 2), Self.longestPause)
        left = pause
    }
}
