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
        /// In bytes.
        var largestValue: Int
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
    /// When the check of the server is to be tried again, if it could not be made, and how long after that.
    private var nextCheck: UInt64 = 0
    private var checkPause = Connection.moment
    // Of the exchange that is under way:
    var began: UInt64 = 0
    /// How many connections had been opened when it began. Of CAS ids that it tells of.
    private var epoch: UInt32 = 0
    /// What became of sending it.
    private var asked = ReturnCode.success
    var line = 0..<0
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

    /// Opens it if it is not open, or has been idle for so long that it may be forgotten.
    ///
    /// - Parameter isForWrite: whether what is going to be sent may not be sent twice.
    func makeReady(isForWrite: Bool) throws(CacheError) {
        if isOpen {
            try checkAgain()
            if isHurried { handle?.pollTimeout = max(1, settings.operationTimeout / 1_000_000) }
            isHurried = false
            let idle = Ticks.coarse &- min(lastAnswer, Ticks.coarse)
            if idle < Self.moment || (idle < settings.longestIdle && !isForWrite) { return }
            if idle < settings.longestIdle, isAlive() { return }
        }
        try checkTime()
        try open()
    }

    /// Tries the check of the server again, after growing pauses, if it could not be made when this was opened.
    private func checkAgain() throws(CacheError) {
        guard !settings.isAcknowledged, state.casCheck == .open, Ticks.coarse > nextCheck else { return }
        checkPause = min(checkPause * 2, 60 * Self.moment)
        nextCheck = Ticks.coarse + checkPause
        try Opening(state, settings, until: end).checkAgain()
    }

    var end: UInt64 { began + settings.operationTimeout }

    func open() throws(CacheError) {
        close()
        let opening = Opening(state, settings, until: end)
        let hasTime = opening.hasTime
        do throws(CacheError) {
            let (opened, attempt) = try opening.open()
            (handle, generation) = (opened, attempt.generation)
        } catch {
            // An attempt that had no time says nothing of the server.
            state.fail(error, isConnecting: hasTime)
            throw error
        }
        self.opening = state.noteOpening()
        (checkPause, nextCheck) = (Self.moment, Ticks.coarse + Self.moment)
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
    func limitWait() {
        let time = Ticks.coarse &- began
        guard time > settings.operationTimeout / 4 else { return }
        let left = time < settings.operationTimeout ? settings.operationTimeout - time : 0
        handle?.pollTimeout = max(1, left / 1_000_000)
        isHurried = true
    }

    /// Fetches the items of the line, in any order.
    func fetch(_ batch: inout Batch) -> ReturnCode {
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
}
