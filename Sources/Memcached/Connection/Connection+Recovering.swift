import CLibMemcached
import MintCache

/// What becomes of an exchange that did not end by its own END.
extension Connection {
    /// Asks for a line again whose exchange did not end by its own END: whole where the connection broke, in halves
    /// where the server answered with an error, so that only the keys behind it fail.
    func recover(_ failed: Range<Int>, _ code: ReturnCode, _ batch: inout Batch) throws(CacheError) {
        var code = code
        let hadAnswered = handle != nil
        close()
        batch.items.remove(failed)
        let error = code.error(from: server)
        batch.withWrites { $0.interrupt(error) }
        if code.isTimeout || code.rawValue == MEMCACHED_NOT_SUPPORTED { throw error }
        if code.isDisconnect {
            // The server may have been restarted since the last exchange.
            if hadAnswered { state.noteBreak(of: generation) }
            code = try askAgain(failed, &batch)
            if code == .success { return }
            if code.isDisconnect || code.isTimeout { throw code.error(from: server) }
        }
        guard failed.count > 1 else { return batch.fail(failed, code.error(from: server)) }
        let middle = failed.lowerBound + failed.count / 2
        for half in [failed.lowerBound..<middle, middle..<failed.upperBound] {
            let code = try askAgain(half, &batch)
            if code != .success { try recover(half, code, &batch) }
        }
    }

    /// Asks for a line on a fresh connection.
    private func askAgain(_ keys: Range<Int>, _ batch: inout Batch) throws(CacheError) -> ReturnCode {
        try checkTime()
        if handle == nil { try open() }
        try checkTime()
        limitWait()
        // The epoch stays what it was when the exchange began: some ids may be from before this connection.
        line = keys
        guard let handle else { return ReturnCode(MEMCACHED_CONNECTION_FAILURE) }
        let code = handle.ask(for: keys, of: batch.keys)
        if code != .success { return code }
        return fetch(&batch)
    }

    /// Closes the connection after an error, so that nothing that is still under way is taken for the answer to another
    /// question, and tells the breaker.
    func failure(_ error: CacheError) -> CacheError {
        close()
        if error.code == .timeout || error.code == .unavailable { state.fail(error, isConnecting: false) }
        return error
    }

    /// - Throws: when the time of the exchange is over: nobody waits for it any more.
    func checkTime() throws(CacheError) {
        guard Ticks.coarse < end else { throw ReturnCode.timeout(server) }
    }
}
