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

    /// Appends what was taken from a stack: the newest call, linked to those before it.
    mutating func append(stack newest: Unmanaged<Call>?) {
        var next = newest
        var oldest: Unmanaged<Call>?
        while let call = next {
            call._withUnsafeGuaranteedRef {
                next = $0.next
                $0.next = oldest
            }
            oldest = call
        }
        while let call = oldest {
            oldest = call._withUnsafeGuaranteedRef { $0.next }
            append(call)
        }
    }

    /// Takes out the first call.
    mutating func popFirst() -> Call? {
        guard let head else { return nil }
        unlink(head)
        return head.takeRetainedValue()
    }

    /// Moves the first calls to another list for as long as they are accepted. Those that are over are dropped.
    mutating func move(to other: inout CallList, while accepts: (Call) -> Bool) {
        while let head {
            if head._withUnsafeGuaranteedRef({ $0.isOver }) {
                unlink(head)
                head.release()
            } else {
                guard head._withUnsafeGuaranteedRef(accepts) else { return }
                unlink(head)
                other.append(head)
            }
        }
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

    /// Drops the first calls for as long as they are over.
    mutating func dropOver() {
        while let head, head._withUnsafeGuaranteedRef({ $0.isOver }) {
            unlink(head)
            head.release()
        }
    }

    /// Fails the calls that began before a time.
    func expire(before time: UInt64, _ error: @autoclosure () -> any Error) {
        // The oldest is the first one, but for what happens within a tick.
        guard let head, head._withUnsafeGuaranteedRef({ $0.began < time }) else { return }
        let error = error()
        forEach { if $0.began < time { $0.expire(error) } }
    }

    private mutating func unlink(_ head: Unmanaged<Call>) {
        self.head = head._withUnsafeGuaranteedRef { $0.next }
        count -= 1
        if self.head == nil { tail = nil }
    }
}
