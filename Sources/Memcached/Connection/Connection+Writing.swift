import CLibMemcached
import MintCache

/// Writes that the server acknowledges.
extension Connection {
    /// Writes, and says whether that took place.
    ///
    /// - Throws: ``CacheError``. Unless the server has refused the value, the connection was closed.
    func write(_ operation: WriteOperation) throws -> Bool {
        began = Ticks.now
        try makeReady(isForWrite: !operation.isRepeatable)
        try checkTime()
        if let cas = operation.expected, cas.epoch != 0, cas.epoch < opening { return false }
        var code = perform(operation)
        if code.isDisconnect {
            state.noteBreak(of: generation)
            close()
            if operation.isRepeatable {
                try open()
                try checkTime()
                code = perform(operation)
            }
        }
        if let tookPlace = code.tookPlace {
            lastAnswer = Ticks.coarse
            state.succeed()
            return tookPlace
        }
        let error = code.error(from: server)
        guard code.isRefusal else { throw failure(error) }
        lastAnswer = Ticks.coarse
        throw error
    }

    private func perform(_ operation: WriteOperation) -> ReturnCode {
        handle?.perform(operation) ?? ReturnCode(MEMCACHED_CONNECTION_FAILURE)
    }
}
