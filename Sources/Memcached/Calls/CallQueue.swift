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
    private var gets = CallList<GetCall.Items>()
    private var writes = CallList<Bool>()
    private var idleWorkers = 0
    private var isClosed = false
    /// Reads and writes take turns when both wait.
    private var writesAreNext = false

    init(maximumBatch: Int) { self.maximumBatch = maximumBatch }

    func enqueue(_ call: Call<GetCall.Items>) throws {
        try enqueue { gets.append(call) }
    }

    func enqueue(_ call: Call<Bool>) throws {
        try enqueue { writes.append(call) }
    }

    private func enqueue(_ append: () -> Void) throws {
        let wake = try monitor.locked {
            guard !isClosed else {
                throw CacheError(.shutDown, "this store was shut down: make a new one, or shut down later")
            }
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
                    if let call = writes.popFirst() as? WriteCall { return .write(call) }
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
            if !call.isOver, let call = call as? GetCall { batch.append(call) }
        }
        return batch
    }

    /// Fails every call that waits: the server did not answer in the time that they have waited already.
    func failAll(_ error: CacheError) {
        let (gets, writes) = monitor.locked {
            defer {
                self.gets = CallList()
                self.writes = CallList()
            }
            return (self.gets, self.writes)
        }
        Self.fail(gets, error)
        Self.fail(writes, error)
    }

    private static func fail<Answer>(_ calls: CallList<Answer>, _ error: CacheError) {
        var calls = calls
        while let call = calls.popFirst() { call.finish(.failure(error)) }
    }

    /// How many calls wait that nobody has cancelled.
    var waiting: Int { monitor.locked { gets.waiting + writes.waiting } }

    /// Takes no more calls. Workers end when they have done those that wait.
    func close() {
        monitor.locked { isClosed = true }
        monitor.broadcast()
    }
}
