import MintCache

/// A thread's loop: takes work from the queue of its server, does it on its connection, answers the tasks.
struct Worker: ~Copyable {
    private let queue: CallQueue
    private let connection: Connection
    private let maximumBatch: Int
    private var keys = KeyBatch()
    /// The batch index of each key of each call, one call after the other.
    private var indices: [Int] = []

    init(queue: CallQueue, connection: Connection, maximumBatch: Int) {
        self.queue = queue
        self.connection = connection
        self.maximumBatch = maximumBatch
    }

    mutating func run() {
        while let work = queue.next() {
            switch work {
            case .gets(let calls): get(calls)
            case .write(let call): write(call)
            }
        }
    }

    private mutating func get(_ calls: [GetCall]) {
        guard !calls.isEmpty else { return }
        keys.reset(forKeys: calls.reduce(0) { $0 + 1 + $1.rest.count })
        indices.removeAll(keepingCapacity: true)
        for call in calls {
            indices.append(keys.index(of: call.first))
            for key in call.rest { indices.append(keys.index(of: key)) }
        }
        do {
            let items = try connection.get(keys, maximumKeys: maximumBatch)
            var next = 0
            for call in calls {
                let first = items[indices[next]]
                let rest = indices[next + 1..<next + 1 + call.rest.count].map { items[$0] }
                next += 1 + call.rest.count
                call.finish(.success(.init(first: first, rest: rest)))
            }
        } catch {
            for call in calls { call.finish(.failure(error)) }
            failWaiting(after: error)
        }
    }

    private func write(_ call: WriteCall) {
        guard !call.isOver else { return }
        do {
            call.finish(.success(try connection.write(call.operation)))
        } catch {
            call.finish(.failure(error))
            failWaiting(after: error)
        }
    }

    /// After a timeout, whoever waited for the server all the while would only wait for one more.
    private func failWaiting(after error: any Error) {
        if let error = error as? CacheError, error.code == .timeout { queue.failAll(error) }
    }
}
