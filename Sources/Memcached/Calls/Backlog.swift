/// The calls that were taken from the inlet and wait for a worker, in the order in which they came.
struct Backlog: ~Copyable {
    private var gets = CallList()
    private var writes = CallList()
    /// Reads and writes take turns when both wait.
    private var writesAreNext = false
    /// How often calls were added.
    private(set) var drains: UInt64 = 0

    var getCount: Int { gets.count }
    var isEmpty: Bool { gets.isEmpty && writes.isEmpty }
    /// Whether a write waits, and it is its turn.
    var isForWrite: Bool { !writes.isEmpty && (writesAreNext || gets.isEmpty) }
    var hasWrites: Bool { !writes.isEmpty }

    /// How many of the calls nobody has cancelled.
    var waiting: Int { gets.waiting + writes.waiting }

    /// Adds calls, the oldest, which is the last one, first.
    mutating func add(_ newest: Unmanaged<Call>?) {
        var next = newest
        var oldest: Unmanaged<Call>?
        while let call = next {
            call._withUnsafeGuaranteedRef {
                next = $0.next
                $0.next = oldest
            }
            oldest = call
        }
        drains += 1
        while let call = oldest {
            let isGet = call._withUnsafeGuaranteedRef {
                oldest = $0.next
                $0.drain = drains
                return if case .write = $0.request { false } else { true }
            }
            if isGet { gets.append(call) } else { writes.append(call) }
        }
    }

    mutating func takeWrite() -> (Call, WriteOperation)? {
        guard let call = writes.popFirst() else { return nil }
        guard case .write(let operation) = call.request else { preconditionFailure("a get among writes") }
        writesAreNext = false
        return (call, operation)
    }

    /// Takes up to so many gets that are not over.
    mutating func takeGets(atMost most: Int) -> CallList {
        writesAreNext = true
        return gets.popFirst(atMost: most)
    }

    /// Takes a call that came with a drain or before.
    mutating func takeFirst(through drain: UInt64) -> Call? {
        gets.popFirst(through: drain) ?? writes.popFirst(through: drain)
    }
}
