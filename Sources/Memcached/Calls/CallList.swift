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
        unlink(head)
        return head.takeRetainedValue()
    }

    /// Takes out the first calls, up to so many that are not over. Those that are over before them are dropped.
    mutating func popFirst(atMost most: Int) -> [Call] {
        var calls: [Call] = []
        calls.reserveCapacity(min(most, count))
        while calls.count < most, let head {
            unlink(head)
            if head._withUnsafeGuaranteedRef({ $0.isOver }) {
                head.release()
            } else {
                calls.append(head.takeRetainedValue())
            }
        }
        return calls
    }

    private mutating func unlink(_ head: Unmanaged<Call>) {
        self.head = head._withUnsafeGuaranteedRef { $0.next }
        count -= 1
        if self.head == nil { tail = nil }
    }
}

extension [Call] {
    /// Does something with each call, whose references are not counted for it: the array has them.
    func forEachUncounted(_ body: (Call) throws -> Void) rethrows {
        for place in indices { try withUncounted(place, body) }
    }

    /// Does something with one of them.
    func withUncounted<Result>(_ place: Int, _ body: (Call) throws -> Result) rethrows -> Result {
        try withUnsafeBytes { references in
            try references.load(fromByteOffset: place * MemoryLayout<Unmanaged<Call>>.stride, as: Unmanaged<Call>.self)
                ._withUnsafeGuaranteedRef(body)
        }
    }
}
