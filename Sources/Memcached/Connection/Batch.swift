import MintCache

/// What the calls of one exchange ask for and write, and what came of it.
///
/// As many calls as fit one line of keys, by keys and by bytes; a call whose keys do not fit one has a batch to itself.
/// It is filled again and again, and keeps most of its storage.
struct Batch: ~Copyable {
    /// Further keys of calls that share them, like the groups of one cached function, and where they are in `keys`.
    private struct FurtherKeys {
        var keys: [StoreKey]
        var indices: [Int]
    }

    /// Where what a call wants is.
    private enum Want {
        /// The item of a key, and the index in `furtherKeys` of those that go with it, or -1.
        case items(key: Int, further: Int)
        case write(Int)
        case writes(Range<Int>)
    }

    private(set) var keys = KeyBatch()
    private(set) var writes = ReadBackWrites()
    var items = FetchedItems()
    /// Of the CAS ids that are told of writes; `nil` where none can be.
    var epoch: UInt32?
    /// For each call.
    private var wants: [Want] = []
    private var furtherKeys: [FurtherKeys] = []
    /// Keys that could not be read although others could, and why.
    private var failures: [(keys: Range<Int>, error: CacheError)] = []

    // MARK: Filling

    /// Takes calls, whose wants replace those before, and returns them.
    ///
    /// - Parameters:
    ///   - most: how many calls at most.
    ///   - lineLength: how many bytes their keys may take.
    mutating func fill(from backlog: inout CallList, atMost most: Int, lineLength: Int) -> CallList {
        wants.removeAll(keepingCapacity: true)
        furtherKeys.removeAll(keepingCapacity: true)
        failures.removeAll(keepingCapacity: true)
        writes.removeAll()
        keys.removeAll()
        var taken = CallList()
        backlog.move(to: &taken) { call in
            guard wants.count < most, wants.isEmpty || fits(call.request, lineLength) else { return false }
            add(call.request)
            return true
        }
        items.reset(count: keys.count)
        return taken
    }

    private mutating func add(_ request: Call.Request) {
        switch request {
        case .get(let key):
            wants.append(.items(key: keys.index(of: key), further: -1))
        case .getAll(let key, let others):
            wants.append(.items(key: keys.index(of: key), further: index(of: others)))
        case .write(let operation):
            wants.append(.write(append(operation)))
        case .writeAll(let operations):
            let first = writes.count
            for operation in operations { _ = append(operation) }
            wants.append(.writes(first..<writes.count))
        case .writeAndGetAll(let operations, let key, let others):
            // What became of them shows in what is read.
            for operation in operations { _ = append(operation) }
            wants.append(.items(key: keys.index(of: key), further: index(of: others)))
        }
    }

    private mutating func append(_ operation: WriteOperation) -> Int {
        guard let key = operation.key else { preconditionFailure("a write that cannot be read back") }
        return writes.append(operation, key: keys.index(of: key))
    }

    /// Whether the keys of a request fit the line.
    private func fits(_ request: Call.Request, _ lineLength: Int) -> Bool {
        let room = lineLength - keys.lineLength
        switch request {
        case .get(let key):
            return key.bytes.count < room || keys.growth(by: key) <= room
        case .getAll(let key, let others), .writeAndGetAll(_, let key, let others):
            if furtherKeys.last?.keys.isSame(as: others) == true { return keys.growth(by: key) <= room }
            return others.reduce(keys.growth(by: key)) { $0 + keys.growth(by: $1) } <= room
        case .write(let operation):
            return operation.key.map { keys.growth(by: $0) <= room } ?? false
        case .writeAll(let operations):
            return operations.compactMap(\.key).reduce(0) { $0 + keys.growth(by: $1) } <= room
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

    // MARK: What came of it

    /// Has something done to the writes.
    mutating func withWrites(_ body: (inout ReadBackWrites) -> Void) { body(&writes) }

    /// Fails what asked for some keys.
    mutating func fail(_ keys: Range<Int>, _ error: CacheError) { failures.append((keys, error)) }

    /// Prepares the replies of the calls that it was filled with.
    mutating func prepareReplies(of calls: borrowing CallList) {
        defer { items.release() }
        let furtherItems = furtherKeys.map { $0.indices.map { items[$0] } }
        var number = 0
        calls.forEach { call in
            defer { number += 1 }
            switch wants[number] {
            case .write(let index):
                call.prepare(Call.Reply(writes.outcome(index, items, epoch: epoch)))
            case .writes(let range):
                call.prepare(.allWritten(range.map { writes.outcome($0, items, epoch: epoch) }))
            case .items(let key, let further):
                if let error = failure(key, further) {
                    call.prepare(.failure(error))
                } else if further < 0 {
                    call.prepare(.item(items[key]))
                } else {
                    call.prepare(.items(items[key], furtherItems[further]))
                }
            }
        }
    }

    /// Lets go of what was read, which nobody gets.
    mutating func abandon() { items.release() }

    /// Why a key could not be read, or one of those that go with it.
    private func failure(_ key: Int, _ further: Int) -> CacheError? {
        guard !failures.isEmpty else { return nil }
        let others = further < 0 ? [] : furtherKeys[further].indices
        return failures.first { $0.keys.contains(key) || others.contains(where: $0.keys.contains) }?.error
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
