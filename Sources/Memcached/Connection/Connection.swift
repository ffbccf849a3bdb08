import CLibMemcached
import MintCache

/// One connection to one server: a `memcached_st` and the one result that it fetches into.
///
/// It is not `Sendable`.
final class Connection: ServerConnection {
    private let server: MemcachedServer
    private let handle: UnsafeMutablePointer<memcached_st>
    /// Our own storage. A result that the library allocates is freed by it at the end of each fetch, while it is still
    /// in use.
    private let result: UnsafeMutablePointer<memcached_result_st>
    private let pollTimeout: UInt64
    /// The most keys for one line.
    private let maximumKeys: Int
    private let breaks: ConnectionBreaks
    /// The breaks that this connection knows of: it was made after them.
    private var knownBreaks = 0
    /// Whether the server answered since the connection was made: only then can it break.
    private var hasAnswered = false
    /// What became of sending the line whose items are to be received.
    private var asked = ReturnCode(MEMCACHED_SUCCESS)

    init(
        _ server: MemcachedServer, operationTimeout: Duration, connectTimeout: Duration, maximumKeys: Int,
        breaks: ConnectionBreaks
    ) throws {
        self.server = server
        self.maximumKeys = maximumKeys
        self.breaks = breaks
        pollTimeout = operationTimeout.milliseconds
        handle = try HandleFactory.makeHandle(
            [server],
            behaviors: [
                (MEMCACHED_BEHAVIOR_TCP_NODELAY, 1),
                (MEMCACHED_BEHAVIOR_TCP_KEEPALIVE, 1),
                (MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1),
                (MEMCACHED_BEHAVIOR_POLL_TIMEOUT, pollTimeout),
                (MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, connectTimeout.milliseconds),
                (MEMCACHED_BEHAVIOR_RETRY_TIMEOUT, 1),
            ])
        result = .allocate(capacity: 1)
        memcached_result_create(handle, result)
    }

    deinit {
        close()
        memcached_result_free(result)
        result.deallocate()
        memcached_free(handle)
    }

    // MARK: Reading

    var isReady: Bool { hasAnswered && breaks.count == knownBreaks }

    func ask(for batch: borrowing KeyBatch) {
        renew()
        asked = send(batch.line(from: 0, maximumKeys: maximumKeys), of: batch)
    }

    /// Takes the items of all keys of the batch that was asked for.
    ///
    /// - Throws: ``CacheError``. Then the connection was closed, and the next call opens a new one.
    func take(_ items: inout FetchedItems, of batch: borrowing KeyBatch) throws {
        var line = batch.line(from: 0, maximumKeys: maximumKeys)
        while true {
            var code = receive(line, of: batch, into: &items)
            if code.isDisconnect {
                // The server may have been restarted since the last call: a new connection tells.
                items.remove(line)
                asked = send(line, of: batch)
                code = receive(line, of: batch, into: &items)
            }
            if code != ReturnCode(MEMCACHED_SUCCESS) { throw code.error(from: server) }
            guard line.upperBound < batch.count else { return }
            line = batch.line(from: line.upperBound, maximumKeys: maximumKeys)
            asked = send(line, of: batch)
        }
    }

    private func send(_ line: Range<Int>, of batch: borrowing KeyBatch) -> ReturnCode {
        ReturnCode(batch.withLine(line) { keys, lengths in memcached_mget(handle, keys, lengths, line.count) })
    }

    private func receive(
        _ line: Range<Int>, of batch: borrowing KeyBatch, into items: inout FetchedItems
    ) -> ReturnCode {
        var code = asked
        if code == ReturnCode(MEMCACHED_SUCCESS) { code = fetch(line, of: batch, into: &items) }
        if code == ReturnCode(MEMCACHED_SUCCESS) { hasAnswered = true } else { close(after: code) }
        return code
    }

    private func fetch(_ line: Range<Int>, of batch: borrowing KeyBatch, into items: inout FetchedItems) -> ReturnCode {
        var expected = line.lowerBound
        while true {
            // With a count of zero the library reports errors as "not found".
            result.pointee.count = 1
            var code = MEMCACHED_SUCCESS
            guard memcached_fetch_result(handle, result, &code) != nil else {
                return ReturnCode(code == MEMCACHED_END ? MEMCACHED_SUCCESS : code)
            }
            // The server answers in the order of the keys and leaves out what it has not. A key that is not among
            // those still expected belongs to another question: the stream is out of step.
            let key = UnsafeRawBufferPointer(
                start: memcached_result_key_value(result), count: memcached_result_key_length(result))
            while expected < line.upperBound, !batch.key(expected, is: key) { expected += 1 }
            // A length beyond all bounds wraps around in the library and arrives as a negative one.
            let size = memcached_result_length(result)
            guard expected < line.upperBound, size >= 0 else { return ReturnCode(MEMCACHED_PROTOCOL_ERROR) }
            guard let cas = StoreItem.CAS(rawValue: memcached_result_cas(result)) else {
                return ReturnCode(MEMCACHED_NOT_SUPPORTED)
            }
            // An empty value comes as a null pointer.
            let value = UnsafeRawBufferPointer(start: memcached_result_value(result), count: size)
            items.set(expected, to: value, cas: cas)
            expected += 1
        }
    }

    // MARK: Writing

    /// Writes, and says whether that took place.
    ///
    /// - Throws: ``CacheError``. Unless its code is `valueTooLarge`, the connection was closed.
    func write(_ operation: WriteOperation) throws -> Bool {
        renew()
        var code = perform(operation)
        if code.isDisconnect, operation.isRepeatable {
            close(after: code)
            code = perform(operation)
        }
        switch code.rawValue {
        case MEMCACHED_SUCCESS, MEMCACHED_STORED, MEMCACHED_DELETED:
            hasAnswered = true
            return true
        case MEMCACHED_NOTSTORED, MEMCACHED_DATA_EXISTS, MEMCACHED_NOTFOUND:
            hasAnswered = true
            return false
        case MEMCACHED_E2BIG: throw code.error(from: server)
        default:
            close(after: code)
            throw code.error(from: server)
        }
    }

    private func perform(_ operation: WriteOperation) -> ReturnCode {
        switch operation {
        case .set(let key, let value, let expiry):
            call(key, value) { memcached_set(handle, $0, $1, $2, $3, expiry, 0) }
        case .add(let key, let value, let expiry):
            call(key, value) { memcached_add(handle, $0, $1, $2, $3, expiry, 0) }
        case .compareAndSwap(let key, let value, let cas, let expiry):
            call(key, value) { memcached_cas(handle, $0, $1, $2, $3, expiry, 0, cas.rawValue) }
        case .delete(let key):
            call(key, []) { key, length, _, _ in memcached_delete(handle, key, length, 0) }
        case .flush:
            ReturnCode(memcached_flush(handle, 0))
        }
    }

    private func call(
        _ key: StoreKey, _ value: [UInt8],
        _ function: (UnsafePointer<CChar>?, Int, UnsafePointer<CChar>?, Int) -> memcached_return_t
    ) -> ReturnCode {
        key.bytes.withUnsafeBytes { key in
            value.withUnsafeBytes { value in
                ReturnCode(
                    function(
                        key.baseAddress?.assumingMemoryBound(to: CChar.self), key.count,
                        value.baseAddress?.assumingMemoryBound(to: CChar.self), value.count))
            }
        }
    }

    /// Closes the connection after an error, so that no reply that is still under way is taken for the answer to
    /// another question.
    private func close(after code: ReturnCode) {
        if code.isDisconnect, hasAnswered { knownBreaks = breaks.note() }
        close()
    }

    /// Closes the connection if another one to the server broke since it was made: it may be as broken.
    private func renew() {
        let breaks = breaks.count
        guard breaks != knownBreaks else { return }
        knownBreaks = breaks
        close()
    }

    /// Closes the connection; the next call opens a new one.
    func close() {
        hasAnswered = false
        // Quitting sends a farewell and may wait for the server as long as any operation.
        memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, 1)
        memcached_quit(handle)
        memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, pollTimeout)
    }
}

extension Duration {
    /// Whole milliseconds, at least 1: libmemcached takes 0 for an instant timeout.
    fileprivate var milliseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000))
    }
}
