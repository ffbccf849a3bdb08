import MintCache
import Synchronization

/// One operation that a task waits for, from when it is queued to when it is answered or cancelled, of which exactly
/// one happens.
///
/// It is also its own place in the queue, so that queueing allocates nothing.
// @unchecked: `next` and `drain` belong to whoever has the call: the task that pushes it, then the holder of the
// queue's lock. `continuation` is written before `phase` publishes it, the answer before the continuation is resumed.
class Call: @unchecked Sendable {
    private enum Phase: UInt8, AtomicRepresentable {
        case made, waiting, answered, cancelled
    }

    final var next: Unmanaged<Call>?
    /// Which drain of the queue's inlet found the call.
    final var drain: UInt64 = 0
    private final var continuation: UnsafeContinuation<Void, Never>?
    private final var error: (any Error)?
    private final let phase = Atomic(Phase.made)

    /// Whether nobody waits for it any more.
    final var isOver: Bool {
        switch phase.load(ordering: .relaxed) {
        case .made, .waiting: false
        case .answered, .cancelled: true
        }
    }

    /// Waits until the call is answered.
    ///
    /// - Parameter enqueue: puts the call into a queue.
    ///
    /// - Throws: what the call failed with, or `CancellationError` as soon as the task is cancelled: then the
    ///   operation may still happen.
    final func wait(_ enqueue: () -> Void) async throws {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                self.continuation = continuation
                if advance(from: .made, to: .waiting) { enqueue() } else { continuation.resume() }
            }
        } onCancel: {
            if !advance(from: .made, to: .cancelled), advance(from: .waiting, to: .cancelled) { continuation?.resume() }
        }
        if phase.load(ordering: .relaxed) == .cancelled { throw CancellationError() }
        if let error { throw error }
    }

    /// Resumes the task that waits, unless it was cancelled. The answer stands in the call.
    final func finish() {
        if advance(from: .waiting, to: .answered) { continuation?.resume() }
    }

    /// Fails the call.
    final func fail(_ error: any Error) {
        self.error = error
        finish()
    }

    private final func advance(from phase: Phase, to next: Phase) -> Bool {
        self.phase.compareExchange(expected: phase, desired: next, ordering: .acquiringAndReleasing).exchanged
    }
}

/// A read of one key or of several.
final class GetCall: Call, @unchecked Sendable {
    let key: StoreKey
    /// The keys besides the first one.
    let otherKeys: ArraySlice<StoreKey>
    /// The answer to a call with one key.
    private(set) var item: StoreItem?
    /// The answer to a call with several keys, in their order.
    private(set) var items: [StoreItem?] = []

    var keyCount: Int { 1 + otherKeys.count }

    init(_ key: StoreKey) {
        self.key = key
        otherKeys = []
    }

    /// - Precondition: there are at least two keys.
    init(_ keys: [StoreKey]) {
        key = keys[0]
        otherKeys = keys[1...]
    }

    /// Takes its answer from the items of a batch. The task is resumed by ``Call/finish()``.
    ///
    /// - Parameter indices: the index of each key in the batch.
    func take(_ batch: [StoreItem?], at indices: ArraySlice<Int>) {
        if indices.count == 1 {
            item = batch[indices[indices.startIndex]]
        } else {
            items = indices.map { batch[$0] }
        }
    }
}

/// A write of one key.
final class WriteCall: Call, @unchecked Sendable {
    let operation: WriteOperation
    /// The answer: whether the write took place.
    private(set) var tookPlace = false

    init(_ operation: WriteOperation) { self.operation = operation }

    /// Answers the call.
    func succeed(_ tookPlace: Bool) {
        self.tookPlace = tookPlace
        finish()
    }
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
