/// Calls, in the order in which they came, linked by `next` and retained. Whoever has the list has its calls' links.
///
/// Nothing is allocated or counted for a call that is appended, looked at or handed on with the list.
struct CallList: ~Copyable, Sendable {
    private var head: Unmanaged<Call>?
    private var tail: Unmanaged<Call>?

    private(set) var count = 0
    var isEmpty: Bool { head == nil }

    /// How many of the calls are not over.
    var waiting: Int {
        var count = 0
        forEach { if !$0.isOver { count += 1 } }
        return count
    }

    init() {}

    /// A list of one call.
    init(_ call: Call) { append(.passRetained(call)) }

    deinit {
        var next = head
        while let call = next?.takeRetainedValue() { next = call.next }
    }

    /// Appends a retained call.
    mutating func append(_ call: Unmanaged<Call>) {
        call._withUnsafeGuaranteedRef { $0.next = nil }
        if let tail { tail._withUnsafeGuaranteedRef { $0.next = call } } else { head = call }
        tail = call
        count += 1
    }

    /// Looks at each call.
    func forEach(_ body: (Call) throws -> Void) rethrows {
        var next = head
        while let call = next {
            try call._withUnsafeGuaranteedRef {
                try body($0)
                next = $0.next
            }
        }
    }

    /// Takes out the first call.
    ///
    /// - Parameter last: the last drain of the inlet that it may come from.
    mutating func popFirst(through last: UInt64 = .max) -> Call? {
        guard let head, head._withUnsafeGuaranteedRef({ $0.drain <= last }) else { return nil }
        unlink(head)
        return head.takeRetainedValue()
    }

    /// Takes out the first calls, up to so many that are not over. Those that are over before them are dropped.
    mutating func popFirst(atMost most: Int) -> CallList {
        var calls = CallList()
        while calls.count < most, let head {
            unlink(head)
            if head._withUnsafeGuaranteedRef({ $0.isOver }) { head.release() } else { calls.append(head) }
        }
        return calls
    }

    /// Takes out the calls for which something holds.
    mutating func take(where holds: (Call) -> Bool) -> CallList {
        var taken = CallList()
        var rest = CallList()
        while let head {
            unlink(head)
            if head._withUnsafeGuaranteedRef(holds) { taken.append(head) } else { rest.append(head) }
        }
        self = rest
        return taken
    }

    private mutating func unlink(_ head: Unmanaged<Call>) {
        self.head = head._withUnsafeGuaranteedRef { $0.next }
        count -= 1
        if self.head == nil { tail = nil }
    }
}
