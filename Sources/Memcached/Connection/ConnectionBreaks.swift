import Synchronization

/// How often a connection to a server broke, shared by all connections to it.
///
/// When a server is restarted all its connections break, and each of them would cost the next call that it is used
/// for. One that finds out tells the others by this.
final class ConnectionBreaks: Sendable {
    private let number = Atomic(0)

    /// How many breaks there were.
    var count: Int { number.load(ordering: .relaxed) }

    /// Counts a break.
    func note() -> Int { number.add(1, ordering: .relaxed).newValue }
}
