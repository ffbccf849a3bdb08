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

    private(set) var keys = KeyBatch()
    private var calls: [Call] = []
    /// For each call the index of its key.
    private var indices: [Int] = []
    private var furtherKeys: [FurtherKeys] = []
    /// For each call the index in `furtherKeys`, or -1.
    private var furtherIndices: [Int] = []

    /// How many calls asked, and have no answer yet.
    var callCount: Int { calls.count }

    /// Takes the place of the calls before.
    mutating func fill(_ calls: [Call]) {
        self.calls = calls
        indices.removeAll(keepingCapacity: true)
        furtherKeys.removeAll(keepingCapacity: true)
        furtherIndices.removeAll(keepingCapacity: true)
        keys.removeAll()
        for call in calls {
            switch call.request {
            case .get(let key):
                indices.append(keys.index(of: key))
                furtherIndices.append(-1)
            case .getAll(let key, let others):
                indices.append(keys.index(of: key))
                furtherIndices.append(index(of: others))
            case .write:
                preconditionFailure("a write among gets")
            }
        }
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
    /// - Parameter items: those of all keys, by their index.
    mutating func answer(with items: [StoreItem?]) -> [Call] {
        let furtherItems = furtherKeys.map { $0.indices.map { items[$0] } }
        for (place, call) in calls.enumerated() {
            let item = items[indices[place]]
            let further = furtherIndices[place]
            call.prepare(further < 0 ? .item(item) : .items(item, furtherItems[further]))
        }
        return exchange(&calls, with: [])
    }

    /// Fails the calls.
    mutating func fail(_ error: any Error) {
        for call in calls { call.finish(.failure(error)) }
        calls = []
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
