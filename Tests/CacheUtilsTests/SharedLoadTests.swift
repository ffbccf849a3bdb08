import CacheUtils
import Dispatch
import Synchronization
import TestSupport
import Testing

/// A load belongs to one caller and serves many.
@Suite("A load that serves many", .timeLimit(.minutes(5)))
struct SharedLoadTests {
    private let clock = ManualClock()
    private let statistics = CacheStatistics()
    private let scripted: ScriptedStore
    private let cache: Cache

    init() {
        scripted = ScriptedStore(InMemoryStore(clock: clock))
        cache = Cache(store: scripted, namespace: "s", clock: clock, observer: statistics)
    }

    // MARK: Re-entry

    /// A function whose loader can be told what it needs, later than it is made.
    private final class Needs: Sendable {
        let need = Mutex<(@Sendable (String) async throws -> String)?>(nil)

        func callAsFunction(_ text: String) async throws -> String {
            guard let need = need.withLock(\.self) else { return text }
            return try await need(text)
        }
    }

    private func expectCircle(
        _ keys: [String], sourceLocation: SourceLocation = #_sourceLocation, _ call: () async throws -> Void
    ) async {
        let error = await #expect(throws: CacheError.self, sourceLocation: sourceLocation) { try await call() }
        #expect(error?.code == .reentrantLoad, sourceLocation: sourceLocation)
        #expect(error?.keys.map(\.description) == keys, sourceLocation: sourceLocation)
        #expect(error?.message.contains("break the circle") == true, sourceLocation: sourceLocation)
        #expect(clock.pauses == 0, sourceLocation: sourceLocation)
    }

    @Test("is an error at once when it needs itself, with a store and without", arguments: [true, false])
    func itself(storeIsThere: Bool) async throws {
        scripted.setDown(!storeIsThere)
        let needs = Needs()
        let f = cache.cached("f", ttl: .seconds(60)) { (text: String) in try await needs(text) }
        needs.need.withLock { $0 = { try await f($0) } }
        await expectCircle([#"s:1:f("a")"#, #"s:1:f("a")"#]) { _ = try await f("a") }
        // Another argument is another value.
        needs.need.withLock { $0 = { $0 == "a" ? try await f("b") : $0 } }
        #expect(try await f("a") == "b")
    }

    @Test("is an error that names the chain when it needs itself through others")
    func throughOthers() async throws {
        let needs = Needs()
        let f = cache.cached("f", ttl: .seconds(60)) { (text: String) in try await needs(text) }
        let g = cache.cached("g", ttl: .seconds(60)) { (text: String) in try await f(text) }
        let h = Cache(store: InMemoryStore(clock: clock), namespace: "h", clock: clock)
            .cached("h", ttl: .seconds(60)) { (text: String) in try await g(text) }
        needs.need.withLock { $0 = { try await h($0) } }
        await expectCircle([#"s:1:f("a")"#, #"h:1:h("a")"#, #"s:1:g("a")"#, #"s:1:f("a")"#]) { _ = try await f("a") }
    }

    @Test("is an error when it needs itself in another cache on the same store")
    func otherCache() async throws {
        let needs = Needs()
        let f = cache.cached("f", ttl: .seconds(60)) { (text: String) in try await needs(text) }
        let twin = Cache(store: scripted, namespace: "s", clock: clock)
            .cached("f", ttl: .seconds(60)) { (text: String) in text }
        needs.need.withLock { $0 = { try await twin($0) } }
        await expectCircle([#"s:1:f("a")"#, #"s:1:f("a")"#]) { _ = try await f("a") }
    }

    @Test("is an error when two loads need each other, whoever began them")
    func eachOther() async throws {
        let (needs, others) = (Needs(), Needs())
        let f = cache.cached("f", ttl: .seconds(60)) { (text: String) in try await needs(text) }
        let g = cache.cached("g", ttl: .seconds(60)) { (text: String) in try await others(text) }
        let both = [Gate(), Gate()]
        needs.need.withLock {
            $0 = {
                try await both[0].pass(); return try await g($0)
            }
        }
        others.need.withLock {
            $0 = {
                try await both[1].pass(); return try await f($0)
            }
        }
        let calls = [Task { try await f("a") }, Task { try await g("a") }]
        for gate in both { try await gate.arrival() }
        for gate in both { gate.open() }
        for call in calls { await #expect(throws: CacheError.self) { try await call.value } }
        #expect(clock.pauses == 0)
    }

    @Test("is an error when they need each other's next loads, as they do without a store")
    func eachOthersNext() async throws {
        scripted.setDown(true)
        try await eachOther()
    }

    @Test("is an error when it refreshes itself, and none when it is served what is cached")
    func refresh() async throws {
        let needs = Needs()
        let f = cache.cached("f", ttl: .seconds(60), refresh: .foreground) { (text: String) in try await needs(text) }
        #expect(try await f("a") == "a")
        await cache.drain()
        needs.need.withLock { $0 = { "\(try await f($0))!" } }
        // Its old value goes on being served while it loads.
        #expect(try await f.refresh("a") == "a!")
        clock.advance(by: .seconds(61))
        #expect(try await f("a") == "a!!")
        needs.need.withLock { $0 = { try await f.refresh($0) } }
        await expectCircle([#"s:1:f("a")"#, #"s:1:f("a")"#]) { _ = try await f.refresh("a") }
    }

    @Test("that is over is no circle for a task that it has started")
    func after() async throws {
        let (gate, needs) = (Gate(), Needs())
        let inner = Mutex<Task<String, any Error>?>(nil)
        let f = cache.cached("f", ttl: .seconds(60)) { (text: String) in try await needs(text) }
        needs.need.withLock {
            $0 = { text in
                inner.withLock { task in
                    task = Task {
                        try await gate.pass()
                        return try await f("\(text)")
                    }
                }
                return text
            }
        }
        #expect(try await f("a") == "a")
        await cache.drain()
        try await f.invalidate("a")
        needs.need.withLock { $0 = nil }
        gate.open()
        let task = inner.withLock(\.self)
        #expect(try await task?.value == "a")
    }

    // MARK: The caller's task

    private enum Request {
        @TaskLocal static var connection = "none"
        @TaskLocal static var trace = "none"
    }

    @Test("has its caller's task-local values, but in the background only those that are asked for")
    func taskLocals() async throws {
        let background = BackgroundContext {
            let trace = Request.trace
            return { refresh in await Request.$trace.withValue(trace) { await refresh() } }
        }
        let contexts = [(BackgroundContext.none, "none none"), (background, "none t")]
        for (context, expected) in contexts {
            let cache = Cache(
                store: InMemoryStore(clock: clock), namespace: "s", clock: clock, background: context)
            let f = cache.cached("f", ttl: .seconds(60)) { "\(Request.connection) \(Request.trace)" }
            try await Request.$connection.withValue("c") {
                try await Request.$trace.withValue("t") {
                    let loaded = try await f()
                    await cache.drain()
                    clock.advance(by: .seconds(61))
                    let stale = try await f()
                    await cache.drain()
                    let refreshed = try await f()
                    #expect([loaded, stale, refreshed] == ["c t", "c t", expected])
                }
            }
        }
    }

    @Test("in the background is a part of its chain of loads all the same")
    func chainInBackground() async throws {
        let needs = Needs()
        let f = cache.cached("f", ttl: .seconds(60), staleFor: .seconds(1)) { (text: String) in try await needs(text) }
        #expect(try await f("a") == "a")
        await cache.drain()
        clock.advance(by: .seconds(60))
        let errors = Mutex<[CacheError.Code]>([])
        // In its refresh the value gets too old to be served.
        needs.need.withLock { [clock] in
            $0 = { text in
                clock.advance(by: .seconds(2))
                do { return try await f(text) } catch let error as CacheError {
                    errors.withLock { $0.append(error.code) }
                    throw error
                }
            }
        }
        #expect(try await f("a") == "a")
        await cache.drain()
        #expect(errors.withLock(\.self) == [.reentrantLoad])
    }

    @Test("becomes as urgent as the most urgent of those who wait", .enabled(if: hasEscalation))
    func priority() async throws {
        let gate = Gate()
        let seen = Mutex<[TaskPriority]>([])
        let f = cache.cached("f", ttl: .seconds(60)) {
            seen.withLock { $0.append(Task.currentPriority) }
            try await gate.pass()
            seen.withLock { $0.append(Task.currentPriority) }
            return 1
        }
        let idle = Task.detached(priority: .background) { try await f() }
        try await gate.arrival()
        let urgent = Task.detached(priority: .high) { try await f() }
        try await eventually { scripted.count(.get) == 2 }
        for _ in 0..<1000 { await Task.yield() }
        gate.open()
        #expect(try await urgent.value == 1)
        #expect(try await idle.value == 1)
        #expect(seen.withLock { $0.last ?? .background } >= .high)
    }

    @Test("prefers the executor that its caller prefers", .enabled(if: hasPreferredExecutor))
    func executor() async throws {
        let executor = CountingExecutor()
        let f = cache.cached("f", ttl: .seconds(60)) { () async -> Bool in executor.isCurrent }
        let isPreferred = try await Task(executorPreference: executor) { try await f() }.value
        #expect(isPreferred)
    }

    private final class CountingExecutor: TaskExecutor {
        private let queue = DispatchQueue(label: "counting")
        private let key = DispatchSpecificKey<Bool>()

        init() { queue.setSpecific(key: key, value: true) }

        var isCurrent: Bool { DispatchQueue.getSpecific(key: key) == true }

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        }
    }
}

private let hasEscalation =
    if #available(macOS 26, *) { true } else { false }

private let hasPreferredExecutor = {
    #if compiler(>=6.3)
    if #available(macOS 26.4, *) { return true }
    #endif
    return false
}()
