/// Which worker the gets of a queue are left to.
///
/// One worker that asks for all of them has the largest batches, is never out of the processor's caches, and asks on
/// one connection while it takes the answers of another: two that shared the gets of 256 tasks made an eighth less of
/// them. So as long as one keeps up it is the reader, and the others do what it cannot: writes, a few gets that come
/// while it waits for the server, and whatever comes when it has asked on as many connections as it may.
struct Readership {
    /// So many gets are left to a reader that waits for the server: it will ask for them together.
    static let many = 16

    private var reader: Worker.ID?

    /// Whether a worker may take so many gets.
    ///
    /// - Parameter areLookedFor: whether some worker, perhaps the reader, is going to look for gets before long.
    func allows(_ worker: Worker.ID, toTake count: Int, areLookedFor: Bool) -> Bool {
        reader == worker || (allowsOthers(toTake: count) && (reader == nil || !areLookedFor))
    }

    /// Whether another worker than the reader may take so many gets, while the reader waits for the server.
    func allowsOthers(toTake count: Int) -> Bool { reader == nil || count < Self.many }

    /// Notes that a worker has taken gets.
    ///
    /// - Parameter keepsUp: whether it can go on alone.
    mutating func note(_ worker: Worker.ID, keepsUp: Bool) {
        if keepsUp {
            reader = reader ?? worker
        } else {
            _ = resign(worker)
        }
    }

    /// Notes that a worker does something else, and says whether it was the reader.
    mutating func resign(_ worker: Worker.ID) -> Bool {
        guard reader == worker else { return false }
        reader = nil
        return true
    }
}
