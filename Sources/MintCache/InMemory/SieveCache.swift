/// The items of an ``InMemoryStore`` in the order in which they came, and the hand that evicts.
///
/// The order is a doubly linked list threaded through an array, so that no item costs an allocation of its own.
struct SieveCache {
    private struct Node {
        var key: StoreKey
        var value: [UInt8]
        var cas: StoreItem.CAS
        var expiry: WallTime?
        var visited = false
        var newer = SieveCache.none
        var older = SieveCache.none

        var size: Int { key.bytes.count + value.count + InMemoryStore.overheadPerItem }
    }

    fileprivate static let none = -1
    /// The key of a free place.
    private static let nobody = StoreKey(trusted: [UInt8(ascii: "-")])

    private let capacity: Int
    private var places: [StoreKey: Int] = [:]
    private var nodes: [Node] = []
    private var free: [Int] = []
    private var newest = none
    private var oldest = none
    private var hand = none
    private var lastCAS: UInt64 = 0
    private(set) var byteCount = 0

    var count: Int { places.count }

    init(capacity: Int) { self.capacity = capacity }

    /// The item under a key, unless it has expired; marks it as visited.
    mutating func item(_ key: StoreKey, at now: WallTime) -> StoreItem? {
        guard let place = places[key] else { return nil }
        if let expiry = nodes[place].expiry, expiry <= now {
            remove(at: place)
            return nil
        }
        nodes[place].visited = true
        return StoreItem(value: nodes[place].value, cas: nodes[place].cas)
    }

    /// Stores a value under a new CAS id and evicts until there is room for it.
    ///
    /// A value that could never fit throws `valueTooLarge`, and what stood under its key is gone, as in memcached.
    mutating func store(_ value: [UInt8], under key: StoreKey, until expiry: WallTime?) throws {
        lastCAS += 1
        guard let cas = StoreItem.CAS(rawValue: lastCAS) else { return }
        let node = Node(key: key, value: value, cas: cas, expiry: expiry)
        guard node.size <= capacity else {
            remove(key)
            throw CacheError(
                .valueTooLarge,
                "a value of \(value.count) bytes does not fit into a store of \(capacity): raise its capacity")
        }
        if let place = places[key] {
            byteCount += node.size - nodes[place].size
            nodes[place].value = value
            nodes[place].cas = cas
            nodes[place].expiry = expiry
            nodes[place].visited = true
        } else {
            insert(node)
        }
        while byteCount > capacity { evict(sparing: key) }
    }

    mutating func remove(_ key: StoreKey) {
        if let place = places[key] { remove(at: place) }
    }

    mutating func removeAll() {
        let cas = lastCAS
        self = SieveCache(capacity: capacity)
        lastCAS = cas
    }

    // MARK: The list

    private mutating func insert(_ node: Node) {
        let place = free.popLast() ?? nodes.endIndex
        if place == nodes.endIndex { nodes.append(node) } else { nodes[place] = node }
        nodes[place].older = newest
        if newest == Self.none { oldest = place } else { nodes[newest].newer = place }
        newest = place
        places[node.key] = place
        byteCount += node.size
    }

    private mutating func remove(at place: Int) {
        let node = nodes[place]
        if node.newer == Self.none { newest = node.older } else { nodes[node.newer].older = node.older }
        if node.older == Self.none { oldest = node.newer } else { nodes[node.older].newer = node.newer }
        if hand == place { hand = node.newer }
        nodes[place].key = Self.nobody
        nodes[place].value = []
        free.append(place)
        places[node.key] = nil
        byteCount -= node.size
    }

    /// Moves the hand towards newer items until it finds one to evict; past the newest it starts at the oldest again.
    private mutating func evict(sparing key: StoreKey) {
        while true {
            if hand == Self.none { hand = oldest }
            if nodes[hand].visited || nodes[hand].key == key {
                nodes[hand].visited = false
                hand = nodes[hand].newer
            } else {
                return remove(at: hand)
            }
        }
    }
}
