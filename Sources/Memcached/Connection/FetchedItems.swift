import MintCache

/// The items that a batch of gets found, by the indices of their keys. It is filled again and again by one lane, and
/// keeps its storage.
///
/// Small values stand side by side in one array, and each item has a slice of it: nothing is allocated for a value, and
/// once the tasks of a batch are done with theirs, the next batch writes over them.
struct FetchedItems: ~Copyable {
    /// A larger value has an array of its own, so that whoever keeps it does not keep many others with it.
    static let largestShared = 1024

    private struct Place {
        /// Where the value is in `shared`; of a large one, at `start` in `large`.
        var start = 0
        var count = 0
        /// 0 where there is no item.
        var cas: UInt64 = 0
    }

    private var places: [Place] = []
    private var shared: [UInt8] = []
    private var large: [[UInt8]] = []

    /// The item of a key.
    subscript(index: Int) -> StoreItem? {
        let place = places[index]
        guard let cas = StoreItem.CAS(rawValue: place.cas) else { return nil }
        guard place.count <= Self.largestShared else { return StoreItem(value: large[place.start], cas: cas) }
        return StoreItem(at: place.start..<place.start + place.count, of: shared, cas: cas)
    }

    /// Makes room for the items of so many keys, of which there is none yet.
    mutating func reset(count: Int) {
        for index in places.indices { places[index].cas = 0 }
        while places.count < count { places.append(Place()) }
        shared.removeAll(keepingCapacity: true)
    }

    /// Sets the item of a key.
    mutating func set(_ index: Int, to value: UnsafeRawBufferPointer, cas: StoreItem.CAS) {
        if value.count > Self.largestShared {
            places[index] = Place(start: large.count, count: value.count, cas: cas.rawValue)
            large.append([UInt8](value))
        } else {
            places[index] = Place(start: shared.count, count: value.count, cas: cas.rawValue)
            shared.append(contentsOf: value)
        }
    }

    /// Removes the items of some keys.
    mutating func remove(_ indices: Range<Int>) {
        for index in indices { places[index].cas = 0 }
    }

    /// Leaves the large values to those who have their items.
    mutating func releaseLarge() { large = [] }
}
