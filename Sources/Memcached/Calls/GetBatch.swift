import MintCache

/// The gets that leave together: their keys, and who asked for which.
///
/// It is filled again and again by one lane, and keeps most of its storage.
struct GetBatch: ~Copyable {
    /// Further keys of calls that share them, like the groups of one cached function, and where they are in `keys`.
    private struct FurtherKeys {
        var keys: [StoreKey]
        var indices: [Int]
    }

    /// Where what a call asked for is.
    private struct Place {
        /// The index of its key.
        var key: Int
        /// The index in `furtherKeys`, or -1.
        var further: Int
    }

    private(set) var keys = KeyBatch()
    private var calls = CallList()
    /// For each call.
    private var places: [Place] = []
    private var furtherKeys: [FurtherKeys] = []
    private var items = FetchedItems()

    /// How many calls asked, and have no answer yet.
    var callCount: Int { calls.count }

    /// Takes the place of the calls before.
    mutating func fill(_ calls: consuming CallList) {
        places.removeAll(keepingCapacity: true)
        furtherKeys.removeAll(keepingCapacity: true)
        keys.removeAll()
        calls.forEach { call in
            switch call.request {
            case .get(let key):
                places.append(Place(key: keys.index(of: key), further: -1))
            case .getAll(let key, let others):
                places.append(Place(key: keys.index(of: key), further: index(of: others)))
            case .write:
                preconditionFailure("a write among gets")
            }
        }
        self.calls = calls
    }

    private mutating func index(of others: [StoreKey]) -> Int {
        if let last = furtherKeys.last, last.keys.isSame(as: others) { return furtherKeys.count - 1 }
        var indices: [Int] = []
        indices.reserveCapacity(others.count)
        for key in others { indices.append(keys.index(of: key)) }
        furtherKeys.append(FurtherKeys(keys: others, indices: indices))
        return furtherKeys.count - 1
    }

    /// Prepares the answers of the calls, and returns the calls.
    ///
    /// - Parameter take: gets the items of all keys, by their index.
    mutating func answer(_ take: (inout FetchedItems, borrowing KeyBatch) throws -> Void) rethrows -> CallList {
        items.reset(count: keys.count)
        defer { items.release() }
        try take(&items, keys)
        let furtherItems = furtherKeys.map { $0.indices.map { items[$0] } }
        let calls = exchange(&calls, with: CallList())
        var place = 0
        calls.forEach { call in
            let (key, further) = (places[place].key, places[place].further)
            call.prepare(further < 0 ? .item(items[key]) : .items(items[key], furtherItems[further]))
            place += 1
        }
        return calls
    }

    /// Fails the calls.
    mutating func fail(_ error: any Error) {
        while let call = calls.popFirst() { call.finish(.failure(error)) }
    }
}

extension [StoreKey] {
    /// Whether both are one array in memory.
    fileprivate func isSame(as other: [StoreKey]) -> Bool {
        withUnsafeBufferPointer { own in
            other.withUnsafeBufferPointer { $0.baseAddress == own.baseAddress && $0.count == own.count }
        }
    }
}
