import Synchronization

/// Where tasks hand in their calls, from any thread and without a lock: a Treiber stack that is only pushed to and
/// emptied as a whole, so that no link can be changed under a reader (R. K. Treiber, *Systems Programming: Coping with
/// Parallelism*, IBM RJ 5118, 1986).
struct CallInlet: ~Copyable {
    enum Entry {
        /// It is the first one: whoever sleeps is to be woken.
        case first
        case later
        case refused
    }

    private static let empty: UInt = 0
    private static let closed: UInt = 1

    /// The address of the newest call, retained, or one of the two above.
    private let newest = Atomic(Self.empty)

    var isEmpty: Bool { newest.load(ordering: .sequentiallyConsistent) <= Self.closed }

    var isClosed: Bool { newest.load(ordering: .relaxed) == Self.closed }

    /// Hands in a call.
    func push(_ call: Call) -> Entry {
        let entry = Unmanaged.passRetained(call)
        var seen = newest.load(ordering: .relaxed)
        while seen != Self.closed {
            call.next = Self.call(seen)
            let (exchanged, current) = newest.weakCompareExchange(
                expected: seen, desired: UInt(bitPattern: entry.toOpaque()), successOrdering: .sequentiallyConsistent,
                failureOrdering: .relaxed)
            if exchanged { return seen == Self.empty ? .first : .later }
            seen = current
        }
        entry.release()
        return .refused
    }

    /// Takes out all calls, the newest first, retained and linked by `next`.
    ///
    /// Neither this nor ``close()`` may be called by two threads at once.
    func takeAll() -> Unmanaged<Call>? {
        isEmpty ? nil : Self.call(newest.exchange(Self.empty, ordering: .acquiring))
    }

    /// Takes out all calls and refuses those that come.
    func close() -> Unmanaged<Call>? {
        Self.call(newest.exchange(Self.closed, ordering: .acquiring))
    }

    private static func call(_ address: UInt) -> Unmanaged<Call>? {
        guard address > closed, let pointer = UnsafeRawPointer(bitPattern: address) else { return nil }
        return .fromOpaque(pointer)
    }
}
