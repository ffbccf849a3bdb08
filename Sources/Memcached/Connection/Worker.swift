import MintCache

/// A thread's loop: takes work from the queue of its server, does it on its connection, answers the tasks.
struct Worker: ~Copyable {
    private let queue: CallQueue
    private let connection: any ServerConnection
    private let maximumBatch: Int
    private var keys = KeyBatch()
    /// The batch index of each key of each call, one call after the other.
    private var indices: [Int] = []

    init(queue: CallQueue, connection: any ServerConnection, maximumBatch: Int) {
        self.queue = queue
        self.connection = connection
        self.maximumBatch = maximumBatch
    }

    mutating func run() {
        while let (work, drain) = queue.next() {
            do {
                switch work {
                case .gets(let calls): try get(calls)
                case .write(let call): try write(call)
                }
            } catch let error as CacheError where error.code == .timeout {
                // Whoever waited for the server all the while would only wait for one more.
                queue.fail(through: drain, error)
            } catch {
                // Those who asked have been told.
            }
        }
    }

    private mutating func get(_ calls: [GetCall]) throws {
        guard !calls.isEmpty else { return }
        keys.reset(forKeys: calls.reduce(0) { $0 + $1.keyCount })
        indices.removeAll(keepingCapacity: true)
        for call in calls {
            indices.append(keys.index(of: call.key))
            for key in call.otherKeys { indices.append(keys.index(of: key)) }
        }
        do {
            let items = try connection.get(keys, maximumKeys: maximumBatch)
            var next = 0
            for call in calls {
                call.take(items, at: indices[next..<next + call.keyCount])
                next += call.keyCount
            }
            // In one go: resumed one by one, each task would run and find the executor's queue empty, which costs two
            // context switches.
            for call in calls { call.finish() }
        } catch {
            for call in calls { call.fail(error) }
            throw error
        }
    }

    private func write(_ call: WriteCall) throws {
        guard !call.isOver else { return }
        do {
            call.succeed(try connection.write(call.operation))
        } catch {
            call.fail(error)
            throw error
        }
    }
}
