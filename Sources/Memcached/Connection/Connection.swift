import CLibMemcached
import MintCache

/// One connection to one server, which is opened when it is first used, and anew after it broke.
///
/// It is not `Sendable`.
final class Connection: ServerConnection {
    struct Settings {
        var operationTimeout: UInt64
        var connectTimeout: UInt64
        /// In bytes.
        var lineLength: Int
        var longestIdle: UInt64
        var authentication: MemcachedStore.Authentication?
        /// Whether the server acknowledges each write, or they are read back.
        var isAcknowledged: Bool
        var readsBeforeFill: Bool
    }

    /// A connection that was quiet for longer may have been forgotten by the server: before a write that may not be
    /// sent twice, a read finds out.
    static let moment: UInt64 = 1_000_000_000

    let state: ServerState
    let settings: Settings
    var handle: Handle?
    /// How many connections to the server had been opened when this one was.
    var opening: UInt32 = 0
    var generation = 0
    var lastAnswer: UInt64 = 0
    private var openedAt: UInt64 = 0
    // Of the exchange that is under way:
    var began: UInt64 = 0
    /// How many connections had been opened when it began. Of CAS ids that it tells of.
    private var epoch: UInt32 = 0
    /// What became of sending it.
    private var asked = ReturnCode.success
    private var line = 0..<0
    private var openingFailure: CacheError?
    private var isHurried = false

    init(_ state: ServerState, _ settings: Settings) {
        self.state = state
        self.settings = settings
    }

    var server: MemcachedServer { state.server }

    var isOpen: Bool { handle != nil && generation == state.address.generation }

    func close() { handle = nil }

    // MARK: Opening

    /// Opens it if it is not open, has been idle for so long that it may be forgotten, or if the check of the server
    /// could not be made when it was opened.
    ///
    /// - Parameter isForWrite: whether what is going to be sent may not be sent twice.
    func makeReady(isForWrite: Bool) throws(CacheError) {
        if isOpen, !isToBeChecked {
            if isHurried { handle?.pollTimeout = max(1, settings.operationTimeout / 1_000_000) }
            isHurried = false
            let idle = Ticks.coarse &- min(lastAnswer, Ticks.coarse)
            if idle < Self.moment || (idle < settings.longestIdle && !isForWrite) { return }
            if idle < settings.longestIdle, isAlive() { return }
        }
        try open()
    }

    /// Whether the check of the server could not be made when this was opened: it is tried again every second.
    private var isToBeChecked: Bool {
        !settings.isAcknowledged && state.casCheck == .open && Ticks.coarse > openedAt + Self.moment
    }

    func open() throws(CacheError) {
        close()
        if state.casCheck == .failed { state.casCheck = .open }
        do throws(CacheError) {
            let (opened, attempt) = try Opening(state, settings, until: began + settings.operationTimeout).open()
            (handle, generation) = (opened, attempt.generation)
        } catch {
            state.fail(error, isConnecting: true)
            throw error
        }
        opening = state.noteOpening()
        openedAt = Ticks.coarse
        lastAnswer = Ticks.coarse
    }

    /// Reads something that is not there, to see that the server answers.
    private func isAlive() -> Bool {
        guard let handle, let key = try? StoreKey("cache-utils:ping") else { return false }
        var keys = KeyBatch()
        _ = keys.index(of: key)
        guard handle.ask(for: 0..<1, of: keys) == .success else { return false }
        while true {
            let (hasItem, code) = handle.fetch()
            if !hasItem { return code == .success }
        }
    }

    func probe() throws {
        began = Ticks.now
        try open()
        state.succeed()
    }

    // MARK: Exchanges

    func ask(for batch: inout Batch) {
        began = Ticks.coarse
        openingFailure = nil
        line = batch.keys.line(from: 0, length: settings.lineLength)
        do throws(CacheError) {
            try makeReady(isForWrite: !batch.writes.isEmpty)
            try checkTime()
        } catch {
            openingFailure = error
            return
        }
        epoch = state.openings
        asked = send(&batch)
    }

    private func send(_ batch: inout Batch) -> ReturnCode {
        guard let handle else { return ReturnCode(MEMCACHED_CONNECTION_FAILURE) }
        var code: ReturnCode?
        if !batch.writes.isEmpty {
            batch.withWrites {
                code = $0.send(isCurrent: { $0.epoch == 0 || opening <= $0.epoch }) { handle.perform($0) }
            }
        }
        return code ?? handle.ask(for: line, of: batch.keys)
    }

    func take(into batch: inout Batch) throws {
        if let openingFailure { throw openingFailure }
        limitWait()
        do throws(CacheError) {
            while true {
                var code = asked
                if code == .success { code = fetch(&batch) }
                if code != .success { try recover(line, code, &batch) }
                guard line.upperBound < batch.keys.count else { break }
                line = batch.keys.line(from: line.upperBound, length: settings.lineLength)
                if handle == nil { try open() }
                limitWait()
                asked = handle?.ask(for: line, of: batch.keys) ?? ReturnCode(MEMCACHED_CONNECTION_FAILURE)
            }
        } catch {
            throw failure(error)
        }
        lastAnswer = Ticks.coarse
        state.succeed()
        let tellsIDs = state.casCheck == .passed && !settings.readsBeforeFill && !state.isProxied
        batch.epoch = tellsIDs ? epoch : nil
    }

    /// Waits no longer than to the end of the exchange's time, which begins when it is asked and not when its turn
    /// comes.
    private func limitWait() {
        let time = Ticks.coarse &- began
        guard time > settings.operationTimeout / 4 else { return }
        let left = time < settings.operationTimeout ? settings.operationTimeout - time : 0
        handle?.pollTimeout = max(1, left / 1_000_000)
        isHurried = true
    }

    /// Fetches the items of the line, in any order.
    private func fetch(_ batch: inout Batch) -> ReturnCode {
        guard let handle else { return ReturnCode(MEMCACHED_CONNECTION_FAILURE) }
        var expected = line.lowerBound
        while true {
            let (hasItem, code) = handle.fetch()
            guard hasItem else { return code }
            let key = UnsafeRawBufferPointer(
                start: memcached_result_key_value(handle.result), count: memcached_result_key_length(handle.result))
            // memcached answers in the order of the keys and leaves out what it has not; a proxy does in any order.
            while expected < line.upperBound, !batch.keys.key(expected, is: key) { expected += 1 }
            if expected == line.upperBound, let index = batch.keys.index(of: key), line.contains(index) {
                expected = index
            }
            // A key that was not asked for, or came already, belongs to another exchange: the stream is out of step.
            guard expected < line.upperBound, !batch.items.hasItem(expected) else {
                return ReturnCode(MEMCACHED_PROTOCOL_ERROR)
            }
            // A length beyond all bounds wraps around in the library and arrives as a negative one.
            let size = memcached_result_length(handle.result)
            guard size >= 0 else { return ReturnCode(MEMCACHED_PROTOCOL_ERROR) }
            guard let cas = StoreItem.CAS(rawValue: memcached_result_cas(handle.result)) else {
                return ReturnCode(MEMCACHED_NOT_SUPPORTED)
            }
            // An empty value comes as a null pointer.
            let value = UnsafeRawBufferPointer(start: memcached_result_value(handle.result), count: size)
            batch.items.set(expected, to: value, cas: cas)
            expected += 1
        }
    }

    // MARK: Recovering

    /// Asks for a line again whose exchange did not end by its own END: whole where the connection broke, in halves
    /// where the server answered with an error, so that only the keys behind it fail.
    private func recover(_ failed: Range<Int>, _ code: ReturnCode, _ batch: inout Batch) throws(CacheError) {
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
        guard Ticks.coarse < began + settings.operationTimeout else { throw ReturnCode.timeout(server) }
    }
}
