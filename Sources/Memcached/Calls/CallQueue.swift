import MintCache
import Synchronization

/// The calls that wait for one thread.
///
/// Tasks push them without a lock; the thread takes them, as many as there are, and sleeps when there are none.
// @unchecked: everything below `lock` is touched by its holder only.
final class CallQueue: @unchecked Sendable {
    enum Event {
        case calls
        /// The time is over, or somebody has asked for attention.
        case attention
        /// It was closed, and all calls were taken.
        case closed
    }

    let resumesTasks: Bool
    private let limit: Int
    private let stack = CallStack()
    /// How many calls wait.
    private let count = Atomic(0)
    private let lock = ConditionLock()
    private var backlog = CallList()
    private var isWoken = false
    private var wantsAttention = false

    /// - Parameters:
    ///   - limit: how many calls may wait.
    ///   - resumesTasks: whether the thread resumes the tasks of its calls itself.
    init(limit: Int, resumesTasks: Bool) {
        self.limit = limit
        self.resumesTasks = resumesTasks
    }

    // MARK: For tasks

    /// Queues a call, or fails it if too many wait or the queue is closed.
    func push(_ call: Call) {
        guard count.add(1, ordering: .relaxed).newValue <= limit else {
            count.subtract(1, ordering: .relaxed)
            return call.finish(
                .failure(
                    CacheError(
                        .overloaded,
                        "\(limit) calls wait for one memcached server already: it is too slow for this load, or maximumWaiting "
                            + "is too small")))
        }
        switch stack.push(call) {
        case .pushed: break
        case .pushedOverSleeper: wake()
        case .refused:
            count.subtract(1, ordering: .relaxed)
            let message =
                "this store was shut down, or has a list of servers without this one: make a new one, or shut down later"
            call.finish(.failure(CacheError(.shutDown, message)))
        }
    }

    private func wake() {
        lock.locked { isWoken = true }
        lock.signal()
    }

    /// Has the thread look around, without a call.
    func attract() {
        lock.locked {
            wantsAttention = true
            if stack.wakeUp() { isWoken = true }
        }
        lock.signal()
    }

    // MARK: For the thread

    /// Waits until there are calls.
    ///
    /// - Parameter nanoseconds: for how long at most.
    func wait(atMost nanoseconds: UInt64? = nil) -> Event {
        lock.locked {
            while true {
                drain()
                if !backlog.isEmpty { return .calls }
                if stack.isClosed { return .closed }
                if exchange(&wantsAttention, with: false) { return .attention }
                guard stack.fallAsleep() else { continue }
                guard sleep(atMost: nanoseconds) else { return .attention }
            }
        }
    }

    /// Sleeps until it is woken, and says whether it was.
    private func sleep(atMost nanoseconds: UInt64?) -> Bool {
        guard let nanoseconds else {
            while !isWoken { lock.wait() }
            isWoken = false
            return true
        }
        let end = Ticks.now + nanoseconds
        while !isWoken {
            let now = Ticks.now
            if now >= end, stack.wakeUp() { return false }
            // When somebody is going to wake this thread, it waits for that.
            lock.wait(atMost: now < end ? end - now : 1_000_000)
        }
        isWoken = false
        return true
    }

    /// Has calls taken from those that wait, the oldest first. Only in here may lists be changed that the timekeeper
    /// looks into.
    func take<Result: ~Copyable>(_ body: (inout CallList) throws -> Result) rethrows -> Result {
        try lock.locked {
            drain()
            let before = backlog.count
            defer { count.subtract(before - backlog.count, ordering: .relaxed) }
            return try body(&backlog)
        }
    }

    private func drain() { backlog.append(stack: stack.takeAll()) }

    // MARK: For all

    /// Whether no call waits, as it may have been a moment ago.
    var isEmpty: Bool { count.load(ordering: .relaxed) == 0 }

    /// How many calls wait that are not over.
    var waiting: Int { take { $0.waiting } }

    /// Fails all calls that wait.
    func failAll(_ error: any Error) {
        var calls = take { exchange(&$0, with: CallList()) }
        while let call = calls.popFirst() { call.finish(.failure(error)) }
    }

    /// Fails the calls that began before a time, and has those looked through that the thread has taken.
    func expire(before time: UInt64, _ error: CacheError, _ taken: () -> Void) {
        take { backlog in
            backlog.expire(before: time, error)
            backlog.dropOver()
            taken()
        }
    }

    /// Takes no more calls.
    func close() {
        lock.locked {
            let (calls, isAsleep) = stack.close()
            backlog.append(stack: calls)
            if isAsleep { isWoken = true }
        }
        lock.signal()
    }
}
