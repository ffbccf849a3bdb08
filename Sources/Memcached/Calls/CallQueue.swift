import MintCache
import Synchronization

/// The calls that wait for one server, and the workers that wait for calls.
///
/// Tasks push into the inlet and never wait for a lock. A worker that looks for work drains the inlet into the lists,
/// so that gets which came while all workers were busy leave together.
// @unchecked: everything below `monitor` is touched by whoever holds it only.
final class CallQueue: @unchecked Sendable {
    /// What a worker is to do next.
    enum Work {
        case gets([Call])
        case write(Call, WriteOperation)
    }

    /// Fewer gets than these are left until the worker has nothing else to do.
    private static let worthAsking = 16

    private let maximumBatch: Int
    private let inlet = CallInlet()
    /// Workers that sleep or are about to.
    private let sleepers = Atomic(0)
    private let monitor = Monitor()
    private var gets = CallList()
    private var writes = CallList()
    /// Reads and writes take turns when both wait.
    private var writesAreNext = false
    private var drains: UInt64 = 0

    init(maximumBatch: Int) { self.maximumBatch = maximumBatch }

    // MARK: For tasks

    /// Queues a call; a closed queue answers it with ``CacheError`` of code `shutDown`.
    func push(_ call: Call) {
        switch inlet.push(call) {
        case .first: wakeSleeper()
        case .later: break
        case .refused:
            let message = "this store was shut down: make a new one, or shut down later"
            call.finish(.failure(CacheError(.shutDown, message)))
        }
    }

    /// Wakes one worker, if any sleeps. A worker says that it will sleep before it looks into the inlet for the last
    /// time, and a task pushes before it looks for sleepers: one of them sees the other.
    private func wakeSleeper() {
        guard sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return }
        monitor.locked {}
        monitor.signal()
    }

    // MARK: For workers

    /// The next work, as soon as there is any, and the drain that it came with or after; `nil` when the queue is closed
    /// and empty.
    func next() -> (work: Work, drain: UInt64)? {
        let (work, number, isMoreLeft) = monitor.locked { () -> (Work?, UInt64, Bool) in
            while true {
                sort(inlet.takeAll())
                if let work = takeWork() { return (work, drains, hasMore) }
                if inlet.isClosed { return (nil, drains, false) }
                sleepers.add(1, ordering: .sequentiallyConsistent)
                if inlet.isEmpty, !inlet.isClosed { monitor.wait() }
                sleepers.subtract(1, ordering: .relaxed)
            }
        }
        if isMoreLeft { wakeSleeper() }
        return work.map { ($0, number) }
    }

    /// Gets for a worker that has others to answer before it can wait for more: if there are enough of them, no other
    /// worker sleeps, and it is not the turn of a write.
    func nextGets() -> (calls: [Call], drain: UInt64)? {
        let (calls, number, isMoreLeft) = monitor.locked { () -> ([Call], UInt64, Bool) in
            sort(inlet.takeAll())
            let areNext =
                gets.count >= Self.worthAsking && sleepers.load(ordering: .relaxed) == 0
                && (writes.isEmpty || !writesAreNext)
            return (areNext ? takeGets() : [], drains, hasMore)
        }
        if isMoreLeft { wakeSleeper() }
        return calls.isEmpty ? nil : (calls, number)
    }

    private var hasMore: Bool { !gets.isEmpty || !writes.isEmpty }

    private func takeWork() -> Work? {
        if writesAreNext || gets.isEmpty, let call = writes.popFirst() {
            guard case .write(let operation) = call.request else { preconditionFailure("a get among writes") }
            writesAreNext = false
            return .write(call, operation)
        }
        return gets.isEmpty ? nil : .gets(takeGets())
    }

    private func takeGets() -> [Call] {
        writesAreNext = true
        var batch: [Call] = []
        batch.reserveCapacity(maximumBatch)
        while batch.count < maximumBatch, let call = gets.popFirst() {
            if !call.isOver { batch.append(call) }
        }
        return batch
    }

    /// Appends calls to the lists, the oldest, which is the last one, first.
    private func sort(_ newest: Unmanaged<Call>?) {
        var next = newest
        var oldest: Unmanaged<Call>?
        while let call = next {
            call._withUnsafeGuaranteedRef {
                next = $0.next
                $0.next = oldest
            }
            oldest = call
        }
        drains += 1
        while let call = oldest {
            let isGet = call._withUnsafeGuaranteedRef {
                oldest = $0.next
                $0.drain = drains
                return if case .write = $0.request { false } else { true }
            }
            if isGet { gets.append(call) } else { writes.append(call) }
        }
    }

    /// Fails the calls that came with a drain or before: the server did not answer in the time that they have waited
    /// already.
    func fail(through drain: UInt64, _ error: CacheError) {
        while let call = monitor.locked({ gets.popFirst(through: drain) }) { call.finish(.failure(error)) }
        while let call = monitor.locked({ writes.popFirst(through: drain) }) { call.finish(.failure(error)) }
    }

    // MARK: For both

    /// How many calls wait that nobody has cancelled.
    var waiting: Int {
        monitor.locked {
            sort(inlet.takeAll())
            return gets.waiting + writes.waiting
        }
    }

    /// Takes no more calls. Workers end when they have done those that wait.
    func close() {
        monitor.locked { sort(inlet.close()) }
        monitor.broadcast()
    }
}
