/// Where many values of one function are cached.
public struct BatchEntries: Sendable {
    let keys: [StoreKey]
    let options: CacheEntry.Options
    /// The options of each, where their groups differ.
    private let each: [CacheEntry.Options]?

    /// Makes entries with the same groups.
    public init(_ keys: [StoreKey], options: CacheEntry.Options) {
        self.keys = keys
        self.options = options
        each = nil
    }

    /// Makes entries that may have groups of their own.
    ///
    /// - Parameter each: the options of each, which differ from the function's in their groups only.
    /// - Precondition: there are as many as keys.
    public init(_ keys: [StoreKey], options: CacheEntry.Options, each: [CacheEntry.Options]) {
        precondition(each.count == keys.count, "each key needs its options")
        self.keys = keys
        self.options = options
        self.each = each
    }

    var policy: CachePolicy { options.policy }
    /// Whether all are in the same groups.
    var haveSameGroups: Bool { each == nil }

    subscript(number: Int) -> CacheEntry { CacheEntry(key: keys[number], options: each?[number] ?? options) }

    /// The groups of some of them, each once.
    func groups(of numbers: [Int]) -> [StoreKey] {
        guard let each else { return options.groups }
        return numbers.lazy.flatMap { each[$0].groups }.unique
    }
}
