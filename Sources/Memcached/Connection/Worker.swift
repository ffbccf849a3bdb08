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
            let began = queue.position
            do {
                switch work {
                case .gets(let calls): try get(calls)
                case .write(let call): try write(call)
                }
            } catch let error as CacheError where error.code == .timeout {
                // Whoever waited for the server all the while would only wait for one more.
                queue.fail(before: began, error)
            } catch {
                // Those who asked have been told.
            }
        }
    }

    private mutating func get(_ calls: [GetCall]) throws {
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
            throw error
        }
    }

    private func write(_ call: WriteCall) throws {
        guard !call.isOver else { return }
        do {
            call.finish(.success(try connection.write(call.operation)))
        } catch {
            call.finish(.failure(error))
            throw error
        }
    }
}
