import MintCache
import Synchronization

/// One operation that a task waits for, from when it is queued to when it is answered, cancelled or failed, of which
/// exactly one happens.
///
/// It is also its own place in the queue, so that queueing allocates nothing.
// @unchecked: `next` and `position` are touched by whoever holds the queue's lock; `continuation` is written before
// `phase` publishes it.
class Call<Answer: Sendable>: @unchecked Sendable {
    private enum Phase: UInt8, AtomicRepresentable {
        case made, waiting, over
    }

    fileprivate(set) var next: Call?
    /// How many calls the queue had been given before.
    var position: UInt64 = 0
    private var continuation: UnsafeContinuation<Answer, any Error>?
    private let phase = Atomic(Phase.made)

    /// Whether nobody waits for it any more.
    var isOver: Bool { phase.load(ordering: .relaxed) == .over }

    /// Waits for the answer.
    ///
    /// - Parameter enqueue: puts the call into a queue.
    ///
    /// - Throws: what the call failed with, or `CancellationError` as soon as the task is cancelled: then the
    ///   operation may still happen.
    func answer(enqueue: () throws -> Void) async throws -> Answer {
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                self.continuation = continuation
                let (exchanged, _) = phase.compareExchange(expected: .made, desired: .waiting, ordering: .releasing)
                guard exchanged else { return continuation.resume(throwing: CancellationError()) }
                do { try enqueue() } catch { finish(.failure(error)) }
            }
        } onCancel: {
            switch phase.exchange(.over, ordering: .acquiring) {
            case .waiting: continuation?.resume(throwing: CancellationError())
            case .made, .over: break
            }
        }
    }

    /// Answers the task that waits, unless that is over.
    func finish(_ result: Result<Answer, any Error>) {
        guard phase.compareExchange(expected: .waiting, desired: .over, ordering: .acquiring).exchanged else { return }
        continuation?.resume(with: result)
    }
}

/// A read of one key and perhaps of more.
final class GetCall: Call<GetCall.Items>, @unchecked Sendable {
    /// The items of the keys, in their order.
    struct Items: Sendable {
        var first: StoreItem?
        var rest: [StoreItem?]

        var all: [StoreItem?] { [first] + rest }
    }

    let first: StoreKey
    let rest: [StoreKey]

    init(_ first: StoreKey, _ rest: [StoreKey] = []) {
        self.first = first
        self.rest = rest
    }
}

/// A write of one key. Its answer says whether it took place.
final class WriteCall: Call<Bool>, @unchecked Sendable {
    let operation: WriteOperation

    init(_ operation: WriteOperation) { self.operation = operation }
}

/// What can be written. Expiries are memcached's numbers.
enum WriteOperation: Sendable {
    case set(StoreKey, [UInt8], expiry: Int)
    case add(StoreKey, [UInt8], expiry: Int)
    case compareAndSwap(StoreKey, [UInt8], cas: StoreItem.CAS, expiry: Int)
    case delete(StoreKey)
    case flush

    /// Whether it may be sent again when a broken connection left it open whether it took place.
    var isRepeatable: Bool {
        switch self {
        case .delete, .flush: true
        // Sent twice, a `set` could undo what another caller wrote between its two arrivals.
        case .set, .add, .compareAndSwap: false
        }
    }
}

/// Calls of one kind, in the order in which they came.
struct CallList<Element: Call<Answer>, Answer: Sendable> {
    private var head: Call<Answer>?
    private var tail: Call<Answer>?

    var isEmpty: Bool { head == nil }

    /// How many of the calls are not over.
    var waiting: Int { sequence(first: head) { $0?.next }.prefix { $0 != nil }.count { $0?.isOver == false } }

    mutating func append(_ call: Element) {
        if let tail { tail.next = call } else { head = call }
        tail = call
    }

    /// Takes out the first call.
    ///
    /// - Parameter end: the position before which it has to be.
    mutating func popFirst(before end: UInt64 = .max) -> Element? {
        guard let first = head, first.position < end else { return nil }
        head = first.next
        first.next = nil
        if head == nil { tail = nil }
        // Only elements are appended.
        return unsafeDowncast(first, to: Element.self)
    }
}
