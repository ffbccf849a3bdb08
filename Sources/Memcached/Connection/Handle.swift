import CLibMemcached
import MintCache

/// A `memcached_st` with the one result that it fetches into, for one connection from its beginning to its end.
///
/// One thread at a time uses it. It is never used again after its connection has ended: the library connects anew by
/// itself, and then it could not be told which of two connections a command was sent on.
final class Handle {
    let memcached: UnsafeMutablePointer<memcached_st>
    /// Our own storage. A result that the library allocates is freed by it at the end of each fetch, while it is still
    /// in use.
    let result: UnsafeMutablePointer<memcached_result_st>

    init(
        _ server: MemcachedServer, host: String, pollTimeout: UInt64, connectTimeout: UInt64, largestValue: Int
    ) throws(CacheError) {
        var endpoint = server.endpoint
        if case .tcp(_, let port) = endpoint { endpoint = .tcp(host: host, port: port) }
        memcached = try HandleFactory.makeHandle(
            [(endpoint, 1)],
            behaviors: [
                (MEMCACHED_BEHAVIOR_TCP_NODELAY, 1),
                (MEMCACHED_BEHAVIOR_TCP_KEEPALIVE, 1),
                // Seconds. The kernel's two hours are longer than any firewall remembers a connection.
                (MEMCACHED_BEHAVIOR_TCP_KEEPIDLE, 60),
                (MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1),
                (MEMCACHED_BEHAVIOR_POLL_TIMEOUT, pollTimeout),
                (MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, connectTimeout),
                (MEMCACHED_BEHAVIOR_RETRY_TIMEOUT, 1),
            ])
        HandleFactory.limitAllocations(of: memcached, to: largestValue)
        result = .allocate(capacity: 1)
        memcached_result_create(memcached, result)
    }

    deinit {
        memcached_result_free(result)
        result.deallocate()
        // Quitting sends a farewell and may wait for the server as long as any operation.
        pollTimeout = 1
        memcached_free(memcached)
    }

    /// How many milliseconds an operation waits for the server at a time.
    var pollTimeout: UInt64 {
        get { memcached_behavior_get(memcached, MEMCACHED_BEHAVIOR_POLL_TIMEOUT) }
        set { memcached_behavior_set(memcached, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, newValue) }
    }

    /// Whether writes are acknowledged.
    func setAcknowledged(_ isAcknowledged: Bool) {
        memcached_behavior_set(memcached, MEMCACHED_BEHAVIOR_NOREPLY, isAcknowledged ? 0 : 1)
    }

    // MARK: Commands

    /// Asks for a line of keys, and does not wait for the items.
    func ask(for line: Range<Int>, of keys: borrowing KeyBatch) -> ReturnCode {
        let code = ReturnCode(
            keys.withLine(line) { keys, lengths in memcached_mget(memcached, keys, lengths, line.count) })
        return precise(code)
    }

    /// What went wrong, for codes that say only that something did.
    private func precise(_ code: ReturnCode) -> ReturnCode {
        switch code.rawValue {
        case MEMCACHED_FAILURE, MEMCACHED_SOME_ERRORS:
            let last = ReturnCode(memcached_last_error(memcached))
            return last == .success ? ReturnCode(MEMCACHED_CONNECTION_FAILURE) : last
        default: return code
        }
    }

    /// Waits for the next item of the line that was asked for; `nil` when there is none, and why not.
    func fetch() -> (hasItem: Bool, code: ReturnCode) {
        // With a count of zero the library reports errors as "not found".
        result.pointee.count = 1
        var code = MEMCACHED_SUCCESS
        if memcached_fetch_result(memcached, result, &code) != nil { return (true, ReturnCode.success) }
        return (false, ReturnCode(code == MEMCACHED_END ? MEMCACHED_SUCCESS : code))
    }

    /// Does a write; without acknowledgements, sends it.
    func perform(_ operation: WriteOperation) -> ReturnCode {
        switch operation {
        case .set(let key, let value, let expiry):
            call(key, value) { memcached_set(memcached, $0, $1, $2, $3, expiry, 0) }
        case .add(let key, let value, let expiry):
            call(key, value) { memcached_add(memcached, $0, $1, $2, $3, expiry, 0) }
        case .compareAndSwap(let key, let value, let cas, let expiry):
            call(key, value) { memcached_cas(memcached, $0, $1, $2, $3, expiry, 0, cas.rawValue) }
        case .delete(let key):
            call(key, []) { key, length, _, _ in memcached_delete(memcached, key, length, 0) }
        case .flush:
            // It says so of a connection that the server has closed.
            precise(ReturnCode(memcached_flush(memcached, 0)))
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
}
