import CacheUtils
import Foundation
import Memcached
import MintCache

/// What a client is told.
struct ClientPlan: Sendable {
    static let clients = 6
    static let groups = 8
    static let hotRows = 36
    /// How long a row is fresh, and, in nanoseconds, for how long it is so by every clock of the fleet.
    static let fresh = Duration.milliseconds(1500)
    static let surelyFresh: Int64 = 400_000_000
    static let updaters = 2
    /// How long a lease runs, and how long with its prolongations.
    static let lease = Duration.seconds(4)
    static let longestLease = Duration.seconds(8)
    /// How far the replica lags at most, in nanoseconds, and the window of an invalidation for that: that and what the
    /// clocks differ by at most, and some.
    static let longestLag: Int64 = 1_000_000_000
    static let window = Duration.milliseconds(2500)
    /// After how many nanoseconds what was loaded in a window is gone by every clock.
    static let settled: Int64 = 4_500_000_000
    /// Releases that run side by side.
    static let versions = ["1", "2"]
    /// How many loads may run in a process.
    static let maximumLoads = 40
    /// For how long a value is held for when the store is away, and in nanoseconds how old what it is answered with may be
    /// at most: it is vouched for when the answer comes, and was read before.
    static let holding = Duration.seconds(2)
    static let held: Int64 = 5_000_000_000
    /// The first rows have large values too, that of row 0 larger than a server takes.
    static let largeRows = 6

    var number: Int
    var servers: [String]
    var database: String
    var history: String
    var tasks: Int
    var skew: Duration
    var mistake: String?
    /// The index of its release.
    var version: Int
    /// How far the replica lags that it reads from, in nanoseconds; 0 for none.
    var lag: Int64
    /// Nanoseconds of the monotonic clock: from when nothing is changed any more, and when everything ends.
    var calm: Int64
    var end: Int64

    init(
        number: Int, servers: [String], database: String, history: String, tasks: Int, skew: Duration,
        mistake: String?, version: Int, lag: Int64, calm: Int64, end: Int64
    ) {
        self.number = number
        self.servers = servers
        self.database = database
        self.history = history
        self.tasks = tasks
        self.skew = skew
        self.mistake = mistake
        self.version = version
        self.lag = lag
        self.calm = calm
        self.end = end
    }

    init(arguments: [String]) throws {
        guard arguments.count == 11, let number = Int(arguments[0]), let tasks = Int(arguments[4]),
            let skew = Int(arguments[5]), let version = Int(arguments[7]), let lag = Int64(arguments[8]),
            let calm = Int64(arguments[9]), let end = Int64(arguments[10])
        else { throw TortureFailure("the arguments of a client are for the coordinator to give") }
        self.init(
            number: number, servers: arguments[1].split(separator: ",").map(String.init), database: arguments[2],
            history: arguments[3], tasks: tasks, skew: .milliseconds(skew),
            mistake: arguments[6].isEmpty ? nil : arguments[6], version: version, lag: lag, calm: calm, end: end)
    }

    var arguments: [String] {
        [
            "client", "\(number)", servers.joined(separator: ","), database, history, "\(tasks)",
            "\(Int(skew / .milliseconds(1)))", mistake ?? "", "\(version)", "\(lag)", "\(calm)", "\(end)",
        ]
    }
}

/// A clock that is wrong by a constant.
private struct SkewedClock: CacheClock {
    let skew: Duration

    var now: WallTime { SystemClock().now + skew }

    var elapsed: Duration { SystemClock().elapsed }

    func sleep(for duration: Duration) async throws { try await Task.sleep(for: duration) }
}

/// A row as it is cached: large enough that a small server has to evict.
private struct Row: Codable, Sendable {
    var number: Int
    var version: Int64
    var filling = String(repeating: "x", count: 4000)
}

/// One process of the fleet: hundreds of tasks that call cached functions over the database, and some that change it.
struct Client: Sendable {
    private let plan: ClientPlan
    private let database: SharedDatabase
    private let history: History
    private let cache: Cache
    private let store: MemcachedStore
    private let loads = RunningLoads()

    init(_ plan: ClientPlan) throws {
        self.plan = plan
        database = try SharedDatabase(path: plan.database)
        history = History(path: plan.history)
        store = try MemcachedStore(servers: plan.servers)
        var policy = CachePolicy(
            leaseFor: ClientPlan.lease, longestLease: ClientPlan.longestLease, staleIfError: .init(for: .seconds(20)),
            maximumLoads: ClientPlan.maximumLoads)
        if plan.number.isMultiple(of: 2) { policy.whenAway = .serveHeld(for: ClientPlan.holding) }
        cache = Cache(
            store: store, namespace: "torture", version: ClientPlan.versions[plan.version],
            invalidatesAlso: ClientPlan.versions, policy: policy, clock: SkewedClock(skew: plan.skew),
            observer: HeldAnswer.Observer(), troubleLevel: nil, checksCodecs: false)
        try plant()
    }

    private func plant() throws {
        guard let mistake = plan.mistake else { return }
        #if DEBUG
        guard let planted = PlantedMistake.allCases.first(where: { "\($0)" == mistake }) else {
            throw TortureFailure("no mistake is called \(mistake): use one of \(PlantedMistake.allCases)")
        }
        PlantedMistake.plant(planted)
        #else
        throw TortureFailure("mistakes can be planted in debug builds only")
        #endif
    }

    /// The cached functions, all over the same database.
    private struct Functions: Sendable {
        var rows: CachedFunction<Int, Row>
        /// Another type and other groups.
        var texts: [CachedFunction<Int, String>]
        /// So large that servers refuse some when several come at once.
        var large: CachedFunction<Int, String>
    }

    func run() async throws {
        // Where a replica lags, what it said is to be gone long before it would be too old.
        let fresh = plan.lag > 0 ? .seconds(60) : ClientPlan.fresh
        let functions = Functions(
            rows: cache.cached("row", ttl: fresh, staleFor: .seconds(2), groups: ["all", "shared"]) {
                (number: Int) in Row(number: number, version: try await load([number], of: 0)[0])
            },
            texts: (0..<ClientPlan.groups).map { group in
                cache.cached(
                    "text\(group)", ttl: max(.seconds(5), fresh), staleFor: .seconds(5),
                    groups: ["group\(group)", "shared"]
                ) { (number: Int) in
                    "\(number):\(try await load([number], of: 1)[0])"
                } loadMany: { numbers in
                    zip(numbers, try await load(numbers, of: 1)).map { "\($0):\($1)" }
                }
            },
            large: cache.cached("large", ttl: fresh, staleFor: .seconds(2), groups: ["all", "shared"]) {
                (number: Int) in
                let text = "\(number):\(try await load([number], of: 2)[0])"
                return text + String(repeating: " ", count: number == 0 ? 1_200_000 : 200_000 + number * 100_000)
            })
        try await withThrowingTaskGroup { group in
            for task in 0..<plan.tasks { group.addTask { await read(task, functions) } }
            for task in 0..<ClientPlan.updaters { group.addTask { await update(task, functions) } }
            try await group.waitForAll()
        }
        history.flush()
        await cache.drain(for: .seconds(2))
        await store.shutdown()
    }

    private var isCalm: Bool { monotonicNow() >= plan.calm }
    private var isOver: Bool { monotonicNow() >= plan.end }

    private func load(_ rows: [Int], of function: Int) async throws -> [Int64] {
        let begin = monotonicNow()
        defer { loads.end() }
        if loads.begin() > ClientPlan.maximumLoads {
            history.record(Event(kind: .wrongAnswer, row: rows[0], version: 0, begin: begin, end: begin))
        }
        let versions = rows.map { plan.lag > 0 ? database.version(of: $0, lag: plan.lag) : database.version(of: $0) }
        let isEarly = begin < plan.calm - Int64(ClientPlan.lease * 2 / .nanoseconds(1))
        if isEarly, Int.random(in: 0..<300) == 0 {
            // Longer than its lease: others take over.
            try await Task.sleep(for: ClientPlan.lease * 1.5)
        } else {
            try await Task.sleep(for: .milliseconds(.random(in: 5...40)))
        }
        if isEarly, Int.random(in: 0..<50) == 0 { throw DatabaseFailure() }
        let end = monotonicNow()
        for (row, version) in zip(rows, versions) {
            let key = row + (function + 3 * plan.version) * SharedDatabase.rows
            history.record(Event(kind: .load, row: key, version: version, begin: begin, end: end))
        }
        return versions
    }

    // MARK: Reading

    private func read(_ task: Int, _ functions: Functions) async {
        while !isOver {
            // A few rows get most of the calls, and in the calm all of them, so that nothing is evicted then.
            let isHot = isCalm || Int.random(in: 0..<4) > 0
            let isLarge = !isCalm && Int.random(in: 0..<200) == 0
            let rows = isLarge ? ClientPlan.largeRows : isHot ? ClientPlan.hotRows : SharedDatabase.rows
            let row = Int.random(in: 0..<rows)
            if !isLarge, !task.isMultiple(of: 2), Int.random(in: 0..<8) == 0 {
                // Some of them twice.
                await readMany(
                    (0..<12).map { _ in row % ClientPlan.groups + .random(in: 0..<4) * ClientPlan.groups }, functions)
                continue
            }
            var event = Event(kind: .call, row: row, version: -1, begin: monotonicNow(), end: 0)
            let answer = HeldAnswer()
            do {
                try await HeldAnswer.$current.withValue(answer) {
                    if !isLarge, task.isMultiple(of: 2) {
                        // A refresh has to be answered with what is there when it begins. It may load what is fresh, so
                        // none is under way any more in the calm.
                        let refreshes = event.begin < plan.calm - 2_000_000_000 && Int.random(in: 0..<100) == 0
                        let least = refreshes && plan.lag == 0 ? database.version(of: row) : 0
                        let value = try await refreshes ? functions.rows.refresh(row) : functions.rows(row)
                        event.version = value.version
                        if value.number != row || value.version < least { event.kind = .wrongAnswer }
                    } else {
                        let function = isLarge ? functions.large : functions.texts[row % ClientPlan.groups]
                        event.take(try await function(row))
                    }
                }
            } catch is DatabaseFailure {
                continue
            } catch {
                // Store trouble must not.
                event.kind = .wrongAnswer
            }
            if event.kind == .call, answer.isHeld { event.kind = .heldCall }
            event.end = monotonicNow()
            history.record(event)
            try? await Task.sleep(for: .milliseconds(.random(in: 1...20)))
        }
    }

    /// Reads rows of one group in one call.
    private func readMany(_ rows: [Int], _ functions: Functions) async {
        let (begin, answer) = (monotonicNow(), HeldAnswer())
        let results = try? await HeldAnswer.$current.withValue(answer) {
            try await functions.texts[rows[0] % ClientPlan.groups].manyResults(rows)
        }
        let end = monotonicNow()
        for (number, row) in rows.enumerated() {
            // Which of them were held is not known.
            var event = Event(kind: answer.isHeld ? .heldCall : .call, row: row, version: -1, begin: begin, end: end)
            switch results?[number] {
            case .success(let text)?: event.take(text)
            case .failure(is DatabaseFailure)?: continue
            default: event.kind = .wrongAnswer
            }
            history.record(event)
        }
        try? await Task.sleep(for: .milliseconds(.random(in: 1...20)))
    }

    // MARK: Changing

    private func update(_ task: Int, _ functions: Functions) async {
        while !isCalm {
            // A row has one process that writes it, and one task there.
            let isHot = Int.random(in: 0..<4) > 0
            let writers = ClientPlan.clients * ClientPlan.updaters
            let count = (isHot ? ClientPlan.hotRows : SharedDatabase.rows) / writers
            let row = Int.random(in: 0..<count) * writers + plan.number * ClientPlan.updaters + task
            let version = database.change(row)
            let begin = monotonicNow()
            let group = row % ClientPlan.groups
            let window = plan.lag > 0 ? ClientPlan.window : .zero
            // What is expired may be served still.
            if Int.random(in: 0..<10) == 0 {
                try? await functions.rows.expire(row)
                try? await cache.expire(group: "group\(group)")
            }
            // Seldom a group: it takes so much with it that little would be left for the exact ones to get wrong.
            var invalidations: [() async throws -> Void] = []
            switch Int.random(in: 0..<200) {
            case 0:
                invalidations.append { try await cache.invalidate(group: "shared", settlingFor: window) }
            case 1...6:
                invalidations.append { try await cache.invalidate(group: "all", settlingFor: window) }
                invalidations.append { try await cache.invalidate(group: "group\(group)", settlingFor: window) }
            default:
                invalidations.append { try await functions.rows.invalidate(row, settlingFor: window) }
                invalidations.append { try await functions.texts[group].invalidate(row, settlingFor: window) }
                if row < ClientPlan.largeRows {
                    invalidations.append { try await functions.large.invalidate(row, settlingFor: window) }
                }
            }
            func record(_ kind: Event.Kind) {
                history.record(Event(kind: kind, row: row, version: version, begin: begin, end: monotonicNow()))
            }
            while let next = invalidations.first, !isOver {
                do {
                    try await next()
                    invalidations.removeFirst()
                } catch {
                    // Then all that is cached of the row is invalid here.
                    if invalidations.count == 1 { record(.tried) }
                    try? await Task.sleep(for: .milliseconds(20))
                }
            }
            record(.invalidation)
            try? await Task.sleep(for: .milliseconds(.random(in: 2...30)))
        }
    }

}

extension Event {
    /// Takes the answer to a call, which says its row and version.
    fileprivate mutating func take(_ text: String) {
        let parts = text.prefix(40).split(whereSeparator: { ": ".contains($0) })
        version = parts.dropFirst().first.flatMap { Int64($0) } ?? -1
        if parts.first.flatMap({ Int($0) }) != row { kind = .wrongAnswer }
    }
}
