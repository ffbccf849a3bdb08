import Synchronization

/// How many threads of a server hang in the C library and were left behind: each costs a stack, and perhaps a
/// connection.
final class StuckThreads: Sendable {
    /// So many, and then it is waited for one to come back.
    static let most = 4

    private let count = Atomic(0)

    /// A thread is to be left behind; whether it may.
    func noteStuck() -> Bool {
        guard count.add(1, ordering: .relaxed).newValue > Self.most else { return true }
        count.subtract(1, ordering: .relaxed)
        return false
    }

    /// One that was left behind has come back, and ends.
    func noteReturn() { count.subtract(1, ordering: .relaxed) }
}
