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

    var all: [Result<Value, any Error>?] { results.withLock(\.self) }
}
