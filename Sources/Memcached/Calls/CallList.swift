/// Calls, in the order in which they came, linked by `next` and retained.
struct CallList: ~Copyable {
    private var head: Unmanaged<Call>?
    private var tail: Unmanaged<Call>?

    private(set) var count = 0
    var isEmpty: Bool { head == nil }

    /// How many of the calls are not over.
    var waiting: Int {
        var count = 0
        var next = head
        while let call = next?.takeUnretainedValue() {
            if !call.isOver { count += 1 }
            next = call.next
        }
        return count
    }

    init() {}

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

    /// Takes out the first call.
    ///
    /// - Parameter last: the last drain of the inlet that it may come from.
    mutating func popFirst(through last: UInt64 = .max) -> Call? {
        guard let head, head._withUnsafeGuaranteedRef({ $0.drain <= last }) else { return nil }
        let call = head.takeRetainedValue()
        self.head = call.next
        count -= 1
        if self.head == nil { tail = nil }
        return call
    }
}
