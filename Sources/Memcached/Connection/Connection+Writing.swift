import CLibMemcached
import MintCache

/// Writes that the server acknowledges.
extension Connection {
    /// Writes, and says whether that took place.
    ///
    /// - Throws: ``CacheError``. Unless the server has refused the value, the connection was closed.
    func write(_ operation: WriteOperation) throws -> Bool {
        began = Ticks.now
        do throws(CacheError) { try makeReady(isForWrite: !operation.isRepeatable) } catch {
            throw failure(error, isConnecting: true)
        }
        if let cas = operation.expected, cas.epoch != 0, cas.epoch < opening { return false }
        var code = perform(operation)
        if code.isDisconnect {
            state.address.renew(from: generation)
            close()
            if operation.isRepeatable {
                do throws(CacheError) { try open() } catch { throw failure(error, isConnecting: true) }
                code = perform(operation)
            }
        }
        if let tookPlace = code.tookPlace {
            lastAnswer = Ticks.coarse
            state.succeed()
            return tookPlace
        }
        let error = code.error(from: server)
        guard code.isRefusal else { throw failure(error, isConnecting: false) }
        lastAnswer = Ticks.coarse
        throw error
    }

    private func perform(_ operation: WriteOperation) -> ReturnCode {
        handle?.perform(operation) ?? ReturnCode(MEMCACHED_CONNECTION_FAILURE)
    }
}
