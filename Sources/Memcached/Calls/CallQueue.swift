import MintCache

/// The calls that wait for one server, and the workers that wait for calls.
///
/// Gets that are queued while all workers are busy leave together with the next one that is free.
// @unchecked: everything below `monitor` is touched by whoever holds it only.
final class CallQueue: @unchecked Sendable {
    /// What a worker is to do next.
    enum Work {
        case gets([GetCall])
        case write(WriteCall)
    }

    private let monitor = Monitor()
    private let maximumBatch: Int
    private var gets = CallList<GetCall, GetCall.Items>()
    private var writes = CallList<WriteCall, Bool>()
    private var idleWorkers = 0
    private var isClosed = false
    /// Reads and writes take turns when both wait.
    private var writesAreNext = false
    private var nextPosition: UInt64 = 0

    init(maximumBatch: Int) { self.maximumBatch = maximumBatch }

    /// Queues a call and waits for its answer.
    ///
    /// - Throws: what the call failed with; `CancellationError` as soon as the task is cancelled, and then the
    ///   operation may still happen; ``CacheError`` with code `shutDown` when the queue is closed.
    func answer(to call: GetCall) async throws -> GetCall.Items {
        try await call.answer { try enqueue(call) { gets.append(call) } }
    }

    /// The same for a write.
    func answer(to call: WriteCall) async throws -> Bool {
        try await call.answer { try enqueue(call) { writes.append(call) } }
    }

    private func enqueue<Answer>(_ call: Call<Answer>, _ append: () -> Void) throws {
        let wake = try monitor.locked {
            guard !isClosed else {
                throw CacheError(.shutDown, "this store was shut down: make a new one, or shut down later")
            }
            call.position = nextPosition
            nextPosition += 1
            append()
            return idleWorkers > 0
        }
        if wake { monitor.signal() }
    }

    /// The next work, as soon as there is any; `nil` when the queue is closed and empty.
    func next() -> Work? {
        monitor.locked {
            while true {
                if !writes.isEmpty, writesAreNext || gets.isEmpty {
                    writesAreNext = false
                    if let call = writes.popFirst() { return .write(call) }
                } else if !gets.isEmpty {
                    writesAreNext = true
                    return .gets(takeGets())
                } else if isClosed {
                    return nil
                } else {
                    idleWorkers += 1
                    monitor.wait()
                    idleWorkers -= 1
                }
            }
        }
    }

    private func takeGets() -> [GetCall] {
        var batch: [GetCall] = []
        batch.reserveCapacity(maximumBatch)
        while batch.count < maximumBatch, let call = gets.popFirst() {
            if !call.isOver { batch.append(call) }
        }
        return batch
    }

    /// The position that the next call will have.
    var position: UInt64 { monitor.locked { nextPosition } }

    /// Fails the calls before a position: the server did not answer in the time that they have waited already.
    func fail(before position: UInt64, _ error: CacheError) {
        while let call = monitor.locked({ gets.popFirst(before: position) }) { call.finish(.failure(error)) }
        while let call = monitor.locked({ writes.popFirst(before: position) }) { call.finish(.failure(error)) }
    }

    /// How many calls wait that nobody has cancelled.
    var waiting: Int { monitor.locked { gets.waiting + writes.waiting } }

    /// Takes no more calls. Workers end when they have done those that wait.
    func close() {
        monitor.locked { isClosed = true }
        monitor.broadcast()
    }
}
