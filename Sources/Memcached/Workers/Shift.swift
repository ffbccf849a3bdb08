import Synchronization

/// What a thread is at that could keep it, and whether the thread has its role still. The timekeeper looks, and takes
/// the role from a thread that is kept for too long.
final class Shift: Sendable {
    enum Work: UInt64 {
        case none
        /// A call into the C library.
        case library
        /// Callers' tasks.
        case tasks
    }

    /// Something that a thread began.
    struct Stretch: Equatable {
        fileprivate let number: UInt64

        var work: Work { Work(rawValue: number & 3) ?? .none }
    }

    private let current = Atomic<UInt64>(0)

    var stretch: Stretch { Stretch(number: current.load(ordering: .sequentiallyConsistent)) }

    /// The thread begins with something.
    func begin(_ work: Work) -> Stretch {
        let next = (current.load(ordering: .relaxed) & ~3) + 4 + work.rawValue
        current.store(next, ordering: .sequentiallyConsistent)
        return Stretch(number: next)
    }

    /// Ends a stretch: for the thread that is done with it, or for the timekeeper, which takes the role from the
    /// thread.
    ///
    /// - Returns: whether the other one has not.
    func end(_ stretch: Stretch) -> Bool {
        current.compareExchange(
            expected: stretch.number, desired: stretch.number & ~3, ordering: .acquiringAndReleasing
        ).exchanged
    }
}
