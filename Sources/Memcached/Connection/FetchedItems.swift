import MintCache

/// The items that a batch of gets found, by the indices of their keys. It is filled for one exchange after the other,
/// and keeps some of its storage.
///
/// Small values stand side by side in arrays that they share, and each item has a range of one: for most batches
/// nothing is allocated, since a batch writes over the values of the one before when nobody has an item of that any
/// more.
struct FetchedItems: ~Copyable {
    /// A larger value has an array of its own.
    static let largestShared = 1024
    /// The size of the arrays that are shared, filled or not: so much, and no more, is kept by whoever keeps a small
    /// item.
    static let sharedSize = 64 * 1024
    /// More are seldom needed again: one get can have 255 groups.
    static let mostKeptLocations = 1024

    struct Location {
        /// The index of the array, and where the value is in it.
        var array = 0
        var start = 0
        var count = 0
        /// 0 where there is no item.
        var cas: UInt64 = 0
    }

    private(set) var locations: [Location] = []
    /// The first one is kept.
    private var arrays: [[UInt8]] = []
    /// The index of the array to which small values are appended.
    private var shared = 0

    /// What begins a shared array. Without a byte that is nobody's a slice could be the whole of its array, and
    /// `Array(slice)` no copy.
    private static let beginning: [UInt8] = [0]

    /// The item of a key.
    subscript(index: Int) -> StoreItem? {
        let location = locations[index]
        guard let cas = StoreItem.CAS(rawValue: location.cas) else { return nil }
        return StoreItem(at: location.start..<location.start + location.count, of: arrays[location.array], cas: cas)
    }

    /// Makes room for the items of so many keys, of which there is none yet.
    mutating func reset(count: Int) {
        if locations.count > Self.mostKeptLocations { locations = [] }
        for index in 0..<min(count, locations.count) { locations[index].cas = 0 }
        while locations.count < count { locations.append(Location()) }
        if arrays.isEmpty {
            beginArray()
        } else {
            arrays[0].removeAll(keepingCapacity: true)
            arrays[0] += Self.beginning
        }
    }

    /// Sets the item of a key.
    mutating func set(_ index: Int, to value: UnsafeRawBufferPointer, cas: StoreItem.CAS) {
        if value.count > Self.largestShared {
            locations[index] = Location(array: arrays.count, count: value.count, cas: cas.rawValue)
            arrays.append([UInt8](value))
        } else {
            if arrays[shared].count + value.count > Self.sharedSize { beginArray() }
            let start = arrays[shared].count
            arrays[shared].append(contentsOf: value)
            locations[index] = Location(array: shared, start: start, count: value.count, cas: cas.rawValue)
        }
    }

    private mutating func beginArray() {
        shared = arrays.count
        arrays.append([])
        arrays[shared].reserveCapacity(Self.sharedSize)
        arrays[shared] += Self.beginning
    }

    /// Whether there is an item of a key.
    func hasItem(_ index: Int) -> Bool { locations[index].cas != 0 }

    /// The CAS id of a key's item, and its bytes for as long as the closure runs; `nil` where there is none.
    func withItem<Result>(_ index: Int, _ body: (UInt64, UnsafeRawBufferPointer) -> Result) -> Result? {
        let location = locations[index]
        guard location.cas != 0 else { return nil }
        return arrays[location.array].withUnsafeBytes {
            body(
                location.cas,
                UnsafeRawBufferPointer(rebasing: $0[location.start..<location.start + location.count]))
        }
    }

    /// Removes the items of some keys.
    mutating func remove(_ indices: Range<Int>) {
        for index in indices { locations[index].cas = 0 }
    }

    /// Leaves all arrays but the first to those who have items of them. Nobody asks for an item after that, until there
    /// are others.
    mutating func release() {
        arrays.removeSubrange(1...)
        shared = 0
    }
}
