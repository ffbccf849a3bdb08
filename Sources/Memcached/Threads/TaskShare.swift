/// Whether tasks take most of a worker's processor time: what another worker that shared them could take over.
struct TaskShare {
    /// In nanoseconds.
    private static let window: UInt64 = 1_000_000
    // Gets whose tasks do nothing else have 0.42, seldom more than a half; hits of a cached function have 0.6.
    private static let largeFrom = 0.56
    private static let largeStill = 0.5

    private var windowBegan: UInt64?
    private var inTasks: UInt64 = 0
    private var isLarge = false

    /// Notes that the worker went on with tasks.
    ///
    /// - Returns: at the end of a window, whether tasks take most of the time: as before, where it is about a half;
    /// `nil`   within a window.
    mutating func note(_ effort: AnsweredCalls.Effort) -> Bool? {
        guard let began = windowBegan else {
            windowBegan = effort.ended
            return nil
        }
        inTasks += effort.time
        let time = effort.ended - began
        guard time >= Self.window else { return nil }
        let share = Double(inTasks) / Double(time)
        windowBegan = effort.ended
        inTasks = 0
        isLarge = share >= (isLarge ? Self.largeStill : Self.largeFrom)
        return isLarge
    }
}
