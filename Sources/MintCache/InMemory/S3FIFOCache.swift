/// The items of an ``InMemoryStore``, and the queues that say which of them goes when there is no room.
///
/// S3-FIFO of Yang, Zhang, Qiu, Yue and Rashmi, *FIFO queues are all you need for cache eviction*, SOSP 2023. New items
/// enter a small queue of a tenth of the capacity; one that was used twice by the time that it is at its end moves to
/// the main queue, the others leave, and only their hashes are remembered for a while. An item whose hash is remembered
/// enters the main queue at once. At the end of that, an item that was used goes to its beginning again, up to three
/// times.
///
/// The queues are doubly linked lists, and the buckets of the index lists, threaded through one array: no item costs an
/// allocation of its own, and the array and the index grow and shrink in steps, so that no call has to move all items.
struct S3FIFOCache {
    private struct Node {
        var key: StoreKey
        var value: [UInt8]
        var cas: UInt64
        /// ``latest`` for none.
        var expiry: WallTime
        var hash: UInt32
        /// The next one in its bucket.
        var next = HashIndex.none
        var newer = HashIndex.none
        var older = HashIndex.none
        /// How often it was used since it was last at the end of a queue, at most 3.
        var uses: UInt8 = 0
        var isInMain = false

        var size: Int { Self.size(key, value) }

        static func size(_ key: StoreKey, _ value: [UInt8]) -> Int {
            key.bytes.count + value.count + InMemoryStore.overheadPerItem
        }
    }

    private typealias Place = UInt32

    /// A queue of nodes: its ends, and what its items take.
    private struct Queue {
        var newest = HashIndex.none
        var oldest = HashIndex.none
        var byteCount = 0
    }

    private static let none = HashIndex.none
    private static let latest = WallTime(microseconds: .max)
    /// What an item of the small queue has to be used to move to the main one.
    private static let usesForMain = 2
    private static let mostUses: UInt8 = 3

    private let capacity: Int
    private var index = HashIndex()
    /// In no order. What is removed leaves its place to the last one.
    private var nodes = SegmentedArray<Node>()
    private var small = Queue()
    private var main = Queue()
    private var ghosts = GhostTable()
    private var lastCAS: UInt64 = 0

    var count: Int { Int(nodes.endIndex) }
    var byteCount: Int { small.byteCount + main.byteCount }

    init(capacity: Int) { self.capacity = capacity }

    /// The item under a key, unless it has expired.
    ///
    /// - Parameter isUse: whether somebody uses the value. A read that belongs to a write is none.
    mutating func item(_ key: StoreKey, at now: WallTime, isUse: Bool) -> StoreItem? {
        guard let place = place(of: key, hash: Self.hash(key)) else { return nil }
        if nodes[place].expiry <= now {
            remove(at: place)
            return nil
        }
        if isUse, nodes[place].uses < Self.mostUses { nodes[place].uses += 1 }
        return StoreItem.CAS(rawValue: nodes[place].cas).map { StoreItem(value: nodes[place].value, cas: $0) }
    }

    /// Stores a value under a new CAS id, in the room that was made for it before.
    ///
    /// A value that could never fit throws `valueTooLarge`, and what stood under its key is gone, as in memcached.
    @discardableResult
    mutating func store(_ value: [UInt8], under key: StoreKey, until expiry: WallTime?) throws -> StoreItem.CAS? {
        lastCAS += 1
        guard let cas = StoreItem.CAS(rawValue: lastCAS) else { return nil }
        let size = Node.size(key, value)
        guard size <= capacity else {
            remove(key)
            throw CacheError(
                .valueTooLarge,
                "a value of \(value.count) bytes does not fit into a store of \(capacity): raise its capacity")
        }
        let (hash, expiry) = (Self.hash(key), expiry ?? Self.latest)
        guard var place = place(of: key, hash: hash) else {
            var nobody = Self.none
            while byteCount + size > capacity { evict(sparing: &nobody) }
            insert(
                Node(
                    key: StoreKey(trusted: key.bytes.trimmed), value: value.trimmed, cas: lastCAS, expiry: expiry,
                    hash: UInt32(truncatingIfNeeded: hash), isInMain: ghosts.remove(hash)))
            return cas
        }
        while byteCount - nodes[place].size + size > capacity { evict(sparing: &place) }
        resize(place, by: size - nodes[place].size)
        nodes[place].value = value.trimmed
        nodes[place].cas = lastCAS
        nodes[place].expiry = expiry
        return cas
    }

    mutating func remove(_ key: StoreKey) {
        if let place = place(of: key, hash: Self.hash(key)) { remove(at: place) }
    }

    mutating func removeAll() {
        let last = lastCAS
        self = S3FIFOCache(capacity: capacity)
        // No CAS id is given twice.
        lastCAS = last
    }

    // MARK: Index

    private static func hash(_ key: StoreKey) -> Int { key.hashValue }

    private func place(of key: StoreKey, hash: Int) -> Place? {
        let hash = UInt32(truncatingIfNeeded: hash)
        var place = index[index.bucket(of: hash)]
        while place != Self.none {
            if nodes[place].hash == hash, nodes[place].key == key { return place }
            place = nodes[place].next
        }
        return nil
    }

    private mutating func link(_ place: Place) {
        let bucket = index.bucket(of: nodes[place].hash)
        nodes[place].next = index[bucket]
        index[bucket] = place
    }

    private mutating func unlink(_ place: Place) {
        let bucket = index.bucket(of: nodes[place].hash)
        relink(bucket, from: place, to: nodes[place].next)
    }

    /// Has whatever leads to a place in a bucket lead to another one.
    private mutating func relink(_ bucket: UInt32, from place: Place, to other: Place) {
        guard index[bucket] != place else {
            index[bucket] = other
            return
        }
        var before = index[bucket]
        while nodes[before].next != place { before = nodes[before].next }
        nodes[before].next = other
    }

    /// Has as many buckets as items, or up to twice as many when there were more of those.
    private mutating func fitIndex() {
        if count > Int(index.bucketCount) {
            let split = index.grow()
            let first = index[split]
            index[split] = Self.none
            return deal(first)
        }
        // Two at a time, or the items would be gone faster than half of the buckets.
        for _ in 0..<2 where count < Int(index.bucketCount) / 2 { deal(index.shrink()) }
    }

    /// Links the items of a bucket that is no more, or is another one's in part.
    private mutating func deal(_ first: Place) {
        var place = first
        while place != Self.none {
            let next = nodes[place].next
            link(place)
            place = next
        }
    }

    // MARK: Queues

    private mutating func resize(_ place: Place, by size: Int) {
        if nodes[place].isInMain { main.byteCount += size } else { small.byteCount += size }
    }

    private mutating func insert(_ node: Node) {
        let place = nodes.endIndex
        nodes.append(node)
        link(place)
        fitIndex()
        enqueue(place)
    }

    private mutating func remove(at place: Place) {
        dequeue(place)
        unlink(place)
        let last = nodes.endIndex - 1
        if place != last { move(last, to: place) }
        _ = nodes.removeLast()
        fitIndex()
    }

    /// Moves an item to a place that nothing leads to.
    private mutating func move(_ last: Place, to place: Place) {
        relink(index.bucket(of: nodes[last].hash), from: last, to: place)
        let (newer, older) = (nodes[last].newer, nodes[last].older)
        if newer != Self.none { nodes[newer].older = place }
        if older != Self.none { nodes[older].newer = place }
        change(nodes[last].isInMain) { queue in
            if queue.newest == last { queue.newest = place }
            if queue.oldest == last { queue.oldest = place }
        }
        nodes[place] = nodes[last]
    }

    /// Puts an item at the beginning of its queue.
    private mutating func enqueue(_ place: Place) {
        resize(place, by: nodes[place].size)
        let newest = nodes[place].isInMain ? main.newest : small.newest
        nodes[place].older = newest
        nodes[place].newer = Self.none
        if newest != Self.none { nodes[newest].newer = place }
        change(nodes[place].isInMain) { queue in
            queue.newest = place
            if queue.oldest == Self.none { queue.oldest = place }
        }
    }

    private mutating func dequeue(_ place: Place) {
        resize(place, by: -nodes[place].size)
        let (newer, older) = (nodes[place].newer, nodes[place].older)
        if newer != Self.none { nodes[newer].older = older }
        if older != Self.none { nodes[older].newer = newer }
        change(nodes[place].isInMain) { queue in
            if queue.newest == place { queue.newest = older }
            if queue.oldest == place { queue.oldest = newer }
        }
    }

    private mutating func change(_ isMain: Bool, _ body: (inout Queue) -> Void) {
        if isMain { body(&main) } else { body(&small) }
    }

    // MARK: Eviction

    /// Makes room by evicting one item, from the small queue as long as the main one has its share or less.
    ///
    /// - Parameter spared: the place of one that stays, which it may leave for another.
    private mutating func evict(sparing spared: inout Place) {
        let evicted =
            main.byteCount > capacity - capacity / 10 || small.byteCount == 0
            ? outOfMain(sparing: spared) : outOfSmall(sparing: spared)
        guard evicted != Self.none else { return }
        let last = nodes.endIndex - 1
        remove(at: evicted)
        if spared == last { spared = evicted }
    }

    /// Which item leaves the small queue for good; none when all have moved to the main one.
    private mutating func outOfSmall(sparing spared: Place) -> Place {
        while small.oldest != Self.none {
            let place = small.oldest
            if nodes[place].uses < Self.usesForMain, place != spared {
                ghosts.insert(Self.hash(nodes[place].key), most: count * 9 / 10)
                return place
            }
            dequeue(place)
            nodes[place].isInMain = true
            enqueue(place)
        }
        return Self.none
    }

    private mutating func outOfMain(sparing spared: Place) -> Place {
        while main.oldest != Self.none {
            let place = main.oldest
            if nodes[place].uses == 0, place != spared { return place }
            dequeue(place)
            if nodes[place].uses > 0 { nodes[place].uses -= 1 }
            enqueue(place)
            // Nothing else is left in this queue.
            if place == spared, main.oldest == spared { return outOfSmall(sparing: spared) }
        }
        return Self.none
    }
}

extension [UInt8] {
    /// The same, without room for more, if it has much of that.
    fileprivate var trimmed: [UInt8] { capacity > count + 32 ? withUnsafeBufferPointer { Array($0) } : self }
}
