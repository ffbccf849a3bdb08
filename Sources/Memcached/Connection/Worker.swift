import MintCache

/// A thread's loop: takes work from the queue of its server, does it on its connection, answers the tasks.
struct Worker: ~Copyable {
    private let queue: CallQueue
    private let connection: any ServerConnection
    private let maximumBatch: Int
    private var batch = GetBatch()

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
                case .write(let call, let operation): try write(call, operation)
                }
            } catch let error as CacheError where error.code == .timeout {
                // Whoever waited for the server all the while would only wait for one more.
                queue.fail(through: drain, error)
            } catch {
                // Those who asked have been told.
            }
        }
    }

    private mutating func get(_ calls: [Call]) throws {
        guard !calls.isEmpty else { return }
        batch.fill(calls)
        do {
            batch.answer(with: try connection.get(batch.keys, maximumKeys: maximumBatch))
        } catch {
            batch.fail(error)
            throw error
        }
    }

    private func write(_ call: Call, _ operation: WriteOperation) throws {
        guard !call.isOver else { return }
        do {
            call.finish(.written(try connection.write(operation)))
        } catch {
            call.finish(.failure(error))
            throw error
        }
    }
}
