import MintCache
import Synchronization

/// What all threads and connections of one server know of it.
final class ServerState: Sendable {
    let server: MemcachedServer
    let address: ServerAddress
    /// Connections that were opened, for the epochs of CAS ids.
    private let opened = Atomic<UInt32>(0)
    private let breaker: Mutex<Breaker>
    /// Whether the breaker is open. Read by every call.
    private let isAway = Atomic(false)
    private let lastFailure = Mutex<CacheError?>(nil)
    private let check = Mutex(CASCheck.Result.open)
    private let proxy = Atomic(false)
    private let whenOpened = Mutex<(@Sendable () -> Void)?>(nil)

    init(
        _ server: MemcachedServer, failuresToOpen: Int,
        resolve: @escaping ServerAddress.Resolver = ServerAddress.lookUp
    ) {
        self.server = server
        address = ServerAddress(of: server, resolve: resolve)
        breaker = Mutex(Breaker(failuresToOpen: failuresToOpen))
    }

    // MARK: The breaker

    /// Whether the server is not asked at present.
    var isOpen: Bool { isAway.load(ordering: .relaxed) }

    /// The error of a call that is not made.
    var refusal: CacheError {
        let cause = lastFailure.withLock { $0 }
        return CacheError(
            .unavailable,
            "memcached at \(server) did not answer a moment ago; it is tried again soon\(cause.map { ". " + $0.message } ?? "")",
            underlying: cause)
    }

    /// The server answered.
    func succeed() {
        breaker.withLock {
            $0.succeed()
            isAway.store(false, ordering: .relaxed)
        }
    }

    /// An exchange, a write or a probe failed.
    func fail(_ error: CacheError, isConnecting: Bool) {
        lastFailure.withLock { $0 = error }
        let hasOpened = breaker.withLock {
            let wasOpen = $0.isOpen
            $0.fail(at: Ticks.now, isConnecting: isConnecting)
            isAway.store($0.isOpen, ordering: .relaxed)
            return $0.isOpen && !wasOpen
        }
        guard hasOpened else { return }
        // It may be another server when it is back.
        forgetCheck()
        whenOpened.withLock { $0 }?()
    }

    /// A connection broke that had worked: all are renewed, and it may be another server now.
    func noteBreak(of generation: Int) {
        address.renew(from: generation)
        forgetCheck()
    }

    /// Has something done each time when the breaker has opened.
    func whenOpened(_ action: @escaping @Sendable () -> Void) { whenOpened.withLock { $0 = action } }

    /// How many nanoseconds there are until the next probe; `nil` while the server answers.
    var untilProbe: UInt64? {
        guard isOpen, let time = breaker.withLock({ $0.probeAt }) else { return nil }
        let now = Ticks.now
        return time > now ? time - now : 0
    }

    // MARK: Epochs

    /// How many connections have been opened.
    var openings: UInt32 { opened.load(ordering: .sequentiallyConsistent) }

    /// A connection has been opened.
    ///
    /// - Returns: how many now have.
    func noteOpening() -> UInt32 { opened.add(1, ordering: .sequentiallyConsistent).newValue }

    // MARK: The check

    /// Whether the server's CAS ids are good for anything, as far as that is known.
    var casCheck: CASCheck.Result { check.withLock { $0 } }

    /// Whether there is a proxy before the server, behind which a restart is not seen.
    var isProxied: Bool { proxy.load(ordering: .relaxed) }

    /// Notes what a check found, unless it may have been of another server: connections have been renewed since.
    func note(_ result: CASCheck.Result, isProxied: Bool = false, of generation: Int) {
        check.withLock { check in
            // One that could not be made does not clear a server that was refused.
            guard generation == address.generation, result != .open else { return }
            proxy.store(isProxied, ordering: .relaxed)
            check = result
        }
    }

    /// It may be another server from now on; one that was refused stays so until a check passes.
    func forgetCheck() { check.withLock { if $0 == .passed { $0 = .open } } }
}
