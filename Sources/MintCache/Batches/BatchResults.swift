import Synchronization

/// What the elements of a batch have come to, by their numbers.
final class BatchResults<Value: Sendable>: Sendable {
    private let results: Mutex<[Result<Value, any Error>?]>

    init(count: Int) { results = Mutex(Array(repeating: nil, count: count)) }

    /// Sets what an element has come to; the first time counts.
    func set(_ number: Int, _ result: Result<Value, any Error>) {
        results.withLock { if $0[number] == nil { $0[number] = result } }
    }

    func has(_ number: Int) -> Bool { results.withLock { $0[number] != nil } }

    // A key path would be looked up each time.
    var all: [Result<Value, any Error>?] { results.withLock { $0 } }
}

/// What a batch has come to.
public struct BatchValues<Value: Sendable>: Sendable {
    // Most batches are hits alone, for which nothing needs to be wrapped.
    private enum Storage {
        case values([Value])
        case results([Result<Value, any Error>])
    }

    private let storage: Storage

    init(_ values: [Value]) { storage = .values(values) }

    init(_ results: [Result<Value, any Error>]) { storage = .results(results) }

    /// What each element has come to, in the order of the request.
    public var results: [Result<Value, any Error>] {
        switch storage {
        case .values(let values): values.map { .success($0) }
        case .results(let results): results
        }
    }

    /// All values.
    ///
    /// - Throws: the first error in the order of the request.
    public func get() throws -> [Value] {
        switch storage {
        case .values(let values): values
        case .results(let results): try results.map { try $0.get() }
        }
    }
}
