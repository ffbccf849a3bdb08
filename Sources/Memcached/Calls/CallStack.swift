import Synchronization

/// Where tasks hand in their calls, from any thread and without a lock, and what says that their thread sleeps: a
/// Treiber stack that is only pushed to and emptied as a whole, so that no link can be changed under a reader (R. K.
/// Treiber, *Systems Programming: Coping with Parallelism*, IBM RJ 5118, 1986).
///
/// That the thread sleeps is a state of the stack itself: who pushes over it, and nobody else, wakes the thread. A
/// model of that is `Verification/Wake.pml`.
struct CallStack: ~Copyable {
    enum Push {
        case pushed
        /// The thread sleeps, and the caller has to wake it.
        case pushedOverSleeper
        /// The stack was closed.
        case refused
    }

    private static let empty: UInt = 0
    private static let asleep: UInt = 1
    private static let closed: UInt = 2

    /// The address of the newest call, retained, or one of the three above.
    private let newest = Atomic(Self.empty)

    var isClosed: Bool { newest.load(ordering: .relaxed) == Self.closed }

    /// Hands in a call.
    func push(_ call: Call) -> Push {
        let reference = Unmanaged.passRetained(call)
        var seen = newest.load(ordering: .relaxed)
        while seen != Self.closed {
            call.next = Self.call(seen)
            let (exchanged, current) = newest.weakCompareExchange(
                expected: seen, desired: UInt(bitPattern: reference.toOpaque()),
                successOrdering: .acquiringAndReleasing, failureOrdering: .relaxed)
            if exchanged { return seen == Self.asleep ? .pushedOverSleeper : .pushed }
            seen = current
        }
        reference.release()
        return .refused
    }

    /// Takes out all calls, the newest first, retained and linked by `next`. By one thread at a time, as is the rest.
    func takeAll() -> Unmanaged<Call>? {
        guard newest.load(ordering: .relaxed) > Self.closed else { return nil }
        return Self.call(newest.exchange(Self.empty, ordering: .acquiring))
    }

    /// Says that the thread sleeps, unless there are calls or the stack was closed.
    func fallAsleep() -> Bool { advance(from: Self.empty, to: Self.asleep) }

    /// Takes that back, unless somebody is going to wake the thread.
    func wakeUp() -> Bool { advance(from: Self.asleep, to: Self.empty) }

    /// Takes out all calls and refuses those that come.
    ///
    /// - Returns: whether the thread sleeps, and the caller has to wake it.
    func close() -> (calls: Unmanaged<Call>?, isAsleep: Bool) {
        let seen = newest.exchange(Self.closed, ordering: .acquiringAndReleasing)
        return (Self.call(seen), seen == Self.asleep)
    }

    private func advance(from state: UInt, to next: UInt) -> Bool {
        newest.compareExchange(expected: state, desired: next, ordering: .acquiringAndReleasing).exchanged
    }

    private static func call(_ address: UInt) -> Unmanaged<Call>? {
        guard address > closed, let pointer = UnsafeRawPointer(bitPattern: address) else { return nil }
        return .fromOpaque(pointer)
    }
}
