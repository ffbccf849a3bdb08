import Foundation
import Synchronization

/// Something that a client did, as it stands in its history: five numbers.
struct Event: Sendable {
    enum Kind: Int64 {
        /// A call was answered: row, version, begin, end.
        case call = 1
        /// The answer was of another row or kind: the same.
        case wrongAnswer = 2
        /// An invalidation returned: row, version that it was for, begin, end.
        case invalidation = 3
        /// A load: row (plus the number of rows for the second function), version, begin, end.
        case load = 4
        /// A call was answered with a value that was held for when the store is away: as `call`.
        case heldCall = 5
        /// An invalidation has failed, and holds for its own process from now on: as `invalidation`.
        case tried = 6
    }

    var kind: Kind
    var row: Int
    var version: Int64
    var begin: Int64
    var end: Int64
}

/// The history of one client, appended to a file, so that what it knew outlives its being killed.
final class History: Sendable {
    private let path: String
    private let buffer = Mutex<[Int64]>([])

    init(path: String) { self.path = path }

    func record(_ event: Event) {
        let full = buffer.withLock { buffer -> [Int64]? in
            buffer += [event.kind.rawValue, Int64(event.row), event.version, event.begin, event.end]
            guard buffer.count >= 2000 else { return nil }
            return exchange(&buffer, with: [])
        }
        if let full { append(full) }
    }

    func flush() { append(buffer.withLock { exchange(&$0, with: []) }) }

    /// One `write`, so that a history has no half events unless the client is killed in the middle of it.
    private func append(_ numbers: [Int64]) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        defer { close(descriptor) }
        numbers.withUnsafeBytes { _ = write(descriptor, $0.baseAddress, $0.count) }
    }

    static func events(at path: String) -> [Event] {
        guard let data = FileManager.default.contents(atPath: path) else { return [] }
        let numbers = data.withUnsafeBytes { bytes in
            (0..<bytes.count / 8).map { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self) }
        }
        return stride(from: 0, to: numbers.count - 4, by: 5).compactMap { start in
            Event.Kind(rawValue: numbers[start]).map { kind in
                Event(
                    kind: kind, row: Int(numbers[start + 1]), version: numbers[start + 2], begin: numbers[start + 3],
                    end: numbers[start + 4])
            }
        }
    }
}

private func exchange<Value>(_ value: inout Value, with new: Value) -> Value {
    let old = value
    value = new
    return old
}
