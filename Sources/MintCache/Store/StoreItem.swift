/// A value as it stands in a store.
public struct StoreItem: Sendable, Equatable {
    /// The number that a store gives to one state of one item, to compare and swap against. It is never 0: memcached
    /// takes 0 for "no CAS id" and answers with garbage.
    public struct CAS: RawRepresentable, Sendable, Hashable {
        /// The store's number.
        public let rawValue: UInt64
        /// For an id that was told of a write: which connections were open by then. 0 for one that was read.
        package let epoch: UInt32

        /// Makes a CAS id; `nil` for 0.
        public init?(rawValue: UInt64) { self.init(rawValue: rawValue, epoch: 0) }

        /// Makes a CAS id that is told of a write; `nil` for 0.
        package init?(rawValue: UInt64, epoch: UInt32) {
            guard rawValue != 0 else { return nil }
            self.rawValue = rawValue
            self.epoch = epoch
        }

        /// Whether the store's numbers are equal.
        public static func == (left: CAS, right: CAS) -> Bool { left.rawValue == right.rawValue }

        /// Hashes the store's number.
        public func hash(into hasher: inout Hasher) { hasher.combine(rawValue) }
    }

    /// The array that the bytes are in, which others may share, and where. With a slice in their place an item would be
    /// five words, and functions return four in registers.
    private let array: [UInt8]
    private let range: Range<Int>
    private let casNumber: UInt64

    /// The item's CAS id.
    public var cas: CAS {
        guard let cas = CAS(rawValue: casNumber) else { preconditionFailure("an item without a CAS id") }
        return cas
    }

    /// The bytes: a slice of an array that other items may share. Whoever keeps it, or the item, keeps all of the array;
    /// `Array(value)` does not.
    public var value: ArraySlice<UInt8> { array[range] }

    /// Makes an item.
    public init(value: [UInt8], cas: CAS) { self.init(at: value.indices, of: value, cas: cas) }

    /// Makes an item of some of an array's bytes.
    package init(at range: Range<Int>, of array: [UInt8], cas: CAS) {
        self.array = array
        self.range = range
        casNumber = cas.rawValue
    }

    /// Whether two items have the same bytes and CAS id.
    public static func == (left: StoreItem, right: StoreItem) -> Bool {
        left.cas == right.cas && left.value == right.value
    }
}
