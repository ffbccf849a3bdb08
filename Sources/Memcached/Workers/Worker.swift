import MintCache

/// A role for a thread, with what the thread uses. It stays when another thread takes the role over from one that a
/// task keeps; one that hangs in the C library takes it along, and leaves it to a successor.
protocol Worker: AnyObject, Sendable {
    var shift: Shift { get }
    var queue: CallQueue { get }
    var stuck: StuckThreads { get }
    /// Whether the queue was closed and all its calls are done.
    var hasEnded: Bool { get }

    /// The loop of the thread.
    func run()

    /// Fails the calls that began before a time, those included that the thread has taken.
    func expireCalls(before time: UInt64)

    /// The timekeeper has taken the role from a thread that a task keeps: other threads go on with the tasks that wait
    /// for that one.
    func leaveTasks()

    /// The timekeeper has taken the role from a thread that hangs: fails the calls that it has taken.
    ///
    /// - Returns: the same role, with connections of its own.
    func successor() -> any Worker
}

extension Worker {
    /// Starts a thread for the role.
    ///
    /// - Throws: ``CacheError`` with code `storeFailure` when the system has no thread to give.
    func start() throws {
        try BlockingThread.start { self.run() }
    }
}
