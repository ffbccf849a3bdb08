/// Which worker the gets of a queue are left to.
///
/// One worker that asks for all of them has the largest batches, and its tasks stay in the caches of one processor: two
/// that share the gets of 256 tasks take a fifth more processor time for each. So as long as one keeps up, it is the
/// reader, and the others do what it cannot: writes, a few gets that come while it waits for the server, and all that
/// comes when it has asked on as many connections as it may, or when its tasks take most of its time.
struct Readership {
    /// So many gets are not taken from a reader that waits for the server: it will ask for them together.
    static let many = 16

    private var reader: Worker.ID?

    /// Whether a worker may take so many gets.
    ///
    /// - Parameter readerLooks: whether a reader is about to look for gets itself.
    func allows(_ worker: Worker.ID, toTake count: Int, readerLooks: Bool) -> Bool {
        reader == nil || reader == worker || (count < Self.many && !readerLooks)
    }

    /// Whether another worker than the reader may take so many gets while the reader waits for the server.
    func allowsOthers(toTake count: Int) -> Bool {
        count > 0 && (reader == nil || count < Self.many)
    }

    /// Notes that a worker has looked for gets.
    ///
    /// - Parameter keepsUp: whether it can go on alone.
    mutating func note(_ worker: Worker.ID, keepsUp: Bool) {
        if reader == nil, keepsUp { reader = worker }
        if reader == worker, !keepsUp { reader = nil }
    }

    /// Notes that a worker does something else.
    mutating func resign(_ worker: Worker.ID) {
        if reader == worker { reader = nil }
    }
}
