/// How the values of a batch are loaded.
public struct BatchLoader<Value: Sendable>: Sendable {
    /// The loader of one element, by its number.
    let one: @Sendable (Int) -> ReadThroughCache.Loader<Value>
    /// Loads elements by their numbers, in their order; `nil` for one that there is no value of. Without it each is loaded
    /// by itself.
    let many: (@Sendable @concurrent ([Int]) async throws -> [Result<LoadedValue<Value>, any Error>?])?

    /// Makes one.
    public init(
        one: @escaping @Sendable (Int) -> ReadThroughCache.Loader<Value>,
        many: (@Sendable @concurrent ([Int]) async throws -> [Result<LoadedValue<Value>, any Error>?])?
    ) {
        self.one = one
        self.many = many
    }
}

/// A call for many values of one function.
struct BatchCall<Value: Sendable>: Sendable {
    let entries: BatchEntries
    let coder: any PayloadCoder<Value>
    let loader: BatchLoader<Value>
    let results: BatchResults<Value>

    var policy: CachePolicy { entries.policy }

    func entry(_ number: Int) -> CacheEntry { entries[number] }
}

/// An element whose value was not in the cache, and what was read of it; `nil` when the store has failed.
struct BatchMiss: Sendable {
    var number: Int
    var read: ReadMachine.Read?
}
