package import MintCache

extension StoreItem {
    /// The bytes of the value, to be compared with an array.
    package var bytes: [UInt8] { Array(value) }
}
