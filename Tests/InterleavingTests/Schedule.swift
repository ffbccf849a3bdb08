import CacheUtils
import MintCache

/// One schedule: what several processes do to two rows of a database and their cached values, in one order.
final class Schedule: @unchecked Sendable {
    /// What came of a schedule.
    struct Outcome {
        var violations: [String]
        var log: [String]
        var choices: [Int]
        /// Calls that were answered.
        var calls: Int
        /// Store operations, loads and answers that were let go on one by one.
        var steps: Int
    }

    static let processes = 2
    private static let callersPerProcess = 2
    private static let callsPerCaller = 3
    private static let updates = 3
    private static let rows = 2
    private static let randomSteps = 120
    private static let lease = Duration.seconds(5)
    /// How far the replica lags at most, the window of an invalidation for that, and after how long what was loaded in
    /// a window is gone by every clock.
    private static let lag = 2000
    private static let window = Duration.seconds(4)
    private static let settled = Duration.seconds(6)

    /// What a schedule is about.
    private enum Theme: Int {
        /// Everything goes wrong.
        case trouble
        /// The same, and nothing is served stale, so that what was expired is as good as invalidated.
        case expiring
        /// Loaders read from a replica that lags.
        case lagging
    }

    private let stage: Stage
    private let theme: Theme
    private let groups: [String]
    private let isOneRelease: Bool
    /// Whether some calls are for many values.
    private let asksForMany: Bool
    private let shield: Shield
    private let store: SharedStore
    private var caches: [Cache] = []
    private var functions: [CachedFunction<Int, Int>] = []
    /// The database: a version of each row, and the version whose invalidation has returned.
    private var versions = [Int](repeating: 0, count: rows)
    private var acknowledged = [Int](repeating: 0, count: rows)
    /// The same of those that a process has tried to invalidate, whether it could or not.
    private var tried = [[Int]](repeating: [Int](repeating: 0, count: rows), count: processes)
    /// For each row, what the replica is going to say from when on.
    private var replica = [[(from: WallTime, version: Int)]](repeating: [], count: rows)
    /// Which versions were invalidated with a window, and when that had returned.
    private var windows = [[(ended: WallTime, version: Int)]](repeating: [], count: rows)
    /// When the last load of a value ended.
    private var loaded: [Int: WallTime] = [:]
    /// Callers and updaters that have not ended, by process.
    private var running: [Int: Int] = [:]
    private var calls = 0
    private var loadCount = 0
    /// Loads that run, by process.
    private var loading = [Int](repeating: 0, count: processes)
    private let held = (0..<processes).map { _ in HeldAnswers() }

    /// Invalidations that have begun and not ended, by process.
    private var invalidating: [Int: Int] = [:]
    private var nextInvalidation = 0

    private init(_ choices: Choices, isMoving: Bool) {
        stage = Stage(choices)
        let choice = stage.choices.choose(6)
        theme = Theme(rawValue: choice / 2) ?? .trouble
        asksForMany = choice % 2 == 1
        stage.isReliable = theme == .lagging
        shield = Shield(&stage.choices, servesExpired: theme != .expiring)
        stage.note("\(theme), \(shield)")
        groups = [["g", "h"], ["g", "h"], ["g"], []][stage.choices.choose(4)]
        // The others are told by each load.
        let declared = Array(stage.choices.oneIn(4) ? groups.prefix(stage.choices.choose(2)) : groups[...])
        let returned = Array(groups.dropFirst(declared.count))
        // Or each row has one more.
        let isByRow = stage.choices.oneIn(4)
        store = SharedStore(
            stage, groups: declared.compactMap { try? StoreKey("s:@\($0)") },
            partCount: isMoving ? MovingLists.partCount : 1 + stage.choices.choose(2),
            lists: isMoving ? MovingLists(processes: Self.processes) : nil)
        let staleFor = theme == .expiring ? Duration.zero : .seconds(10)
        // Most processes are of one release.
        isOneRelease = !stage.choices.oneIn(4)
        let versions = isOneRelease ? ["1", "1"] : ["1", "2"]
        for process in 0..<Self.processes {
            let skew = Duration.milliseconds(stage.choices.choose(3) * 400)
            let clock = StageClock(stage: stage, process: process, skew: skew)
            let cache = Cache(
                store: StageStore(shared: store, stage: stage, process: process, clock: clock), namespace: "s",
                version: versions[process], invalidatesAlso: versions, policy: shield.policy, clock: clock,
                observer: held[process])
            caches.append(cache)
            let function = cache.cached(
                "row", ttl: .seconds(10), staleFor: staleFor, leaseFor: Self.lease,
                refresh: stage.choices.oneIn(2) ? .foreground : .background, groups: isByRow ? [] : declared
            ) { [self] (row: Int) in
                Cached(try await load([row], process: process)[0], groups: returned)
            } loadMany: { [self] rows in
                try await load(rows, process: process).map { Cached($0, groups: returned) }
            }
            functions.append(isByRow ? function.grouped { declared + ["row \($0)"] } : function)
        }
    }

    /// Runs a schedule from its beginning to its end.
    ///
    /// - Parameter isMoving: whether the list of parts changes meanwhile.
    static func run(_ choices: Choices, isMoving: Bool, on executor: DeterministicExecutor) -> Outcome {
        Schedule(choices, isMoving: isMoving).run(on: executor)
    }

    // MARK: The actors

    /// The value of a row is its number and its version.
    private func load(_ rows: [Int], process: Int) async throws -> [Int] {
        let values = rows.map { $0 * 1000 + (theme == .lagging ? replicated($0) : versions[$0]) }
        stage.note("p\(process) loads \(values)")
        loadCount += 1
        loading[process] += 1
        defer { loading[process] -= 1 }
        if let most = shield.policy.maximumLoads, loading[process] > most {
            stage.violations.append("\(loading[process]) loads run in p\(process), and \(most) may")
        }
        await stage.wait("ends the load of \(values)", process: process)
        for value in values { loaded[value] = stage.now }
        if !stage.isCalm, stage.choices.oneIn(8) { throw LoadFailure() }
        return values
    }

    private func replicated(_ row: Int) -> Int { replica[row].last { $0.from <= stage.now }?.version ?? 0 }

    /// The version that a call that begins now has to be answered with at least.
    private func needed(_ row: Int, isRefresh: Bool, in process: Int) -> Need {
        let heldBefore = held[process].count
        guard theme == .lagging else {
            let here = tried[process][row]
            let version = isRefresh ? versions[row] : max(acknowledged[row], here)
            return Need(version: version, whenHeld: here, heldBefore: heldBefore)
        }
        let version = windows[row].filter { $0.ended + Self.settled <= stage.now }.map(\.version).max() ?? 0
        return Need(version: version, whenHeld: version, heldBefore: heldBefore)
    }

    private struct Need {
        var version: Int
        /// When the answer was one that is held for when the store is away.
        var whenHeld: Int
        /// How many of those there were when the call began.
        var heldBefore: Int
    }

    private struct LoadFailure: Error {}

    private func startCaller(in process: Int) {
        running[process, default: 0] += 1
        Task { [self] in
            for _ in 0..<Self.callsPerCaller {
                await stage.wait("begins a call", process: process)
                await call(stage.choices.choose(Self.rows), in: process)
            }
            running[process, default: 0] -= 1
        }
    }

    private func call(_ row: Int, in process: Int) async {
        let kind = stage.choices.choose(8)
        if kind == 5, asksForMany { return await callMany(in: process) }
        // A refresh wants what is there when it begins.
        let need = needed(row, isRefresh: kind == 6, in: process)
        let began = stage.now
        let failures = stage.failures[process]
        stage.note(
            "p\(process) asks for row \(row), at least version \(need.version)\(kind == 6 ? ", refreshing" : "")")
        do {
            let value: Int?
            switch kind {
            case 6: value = try await functions[process].refresh(row)
            case 7: value = try await functions[process].peek(row)
            default: value = try await functions[process](row)
            }
            calls += 1
            guard let value else { return }
            judge(value, row, need: need, since: began, in: process)
            // Nobody of the release reads an older one from now on, unless the store has failed.
            if kind == 6, isOneRelease, theme != .lagging, failures == stage.failures[process] {
                acknowledged[row] = max(acknowledged[row], value % 1000)
            }
        } catch {
            refused(with: error)
        }
    }

    /// A call has no answer.
    private func refused(with error: any Error) {
        calls += 1
        if error is LoadFailure || shield.explains(error) { return }
        stage.violations.append("a read throws \(error)")
    }

    private func callMany(in process: Int) async {
        let rows = [1, 0, 1]
        let (needs, began) = (rows.map { needed($0, isRefresh: false, in: process) }, stage.now)
        stage.note("p\(process) asks for rows \(rows), at least versions \(needs.map(\.version))")
        do {
            let results = try await functions[process].manyResults(rows)
            for (result, (row, need)) in zip(results, zip(rows, needs)) {
                do { judge(try result.get(), row, need: need, since: began, in: process) } catch {
                    refused(with: error)
                }
            }
            calls += 1
        } catch {
            stage.violations.append("a read throws \(error)")
        }
    }

    private func judge(_ value: Int, _ row: Int, need: Need, since began: WallTime, in process: Int) {
        stage.note("p\(process) gets \(value)")
        let need = held[process].count == need.heldBefore ? need.version : need.whenHeld
        if value / 1000 != row { stage.violations.append("I6: row \(row) is answered with \(value)") }
        // From a replica that lags, what was loaded meanwhile may be old; what was loaded before is not any more.
        let isShared = theme == .lagging && (loaded[value] ?? began) >= began
        if value % 1000 < need, !isShared {
            stage.violations.append("I1, I2: row \(row) is answered with version \(value % 1000), not \(need)")
        }
    }

    /// Changes the list of parts: all processes take a step, and the invalidations that had begun by then end, before any
    /// takes the next one.
    private func startOperator(of lists: MovingLists) {
        Task { [self] in
            for step in 1...MovingLists.steps {
                for process in (0..<Self.processes) {
                    await stage.wait("has p\(process) take step \(step)", process: -1)
                    lists.take(step, process: process)
                }
                let begun = Set(invalidating.keys)
                while begun.contains(where: { invalidating[$0].map { !stage.dead.contains($0) } ?? false }) {
                    await stage.wait("looks whether all invalidations have ended", process: -1)
                }
            }
        }
    }

    private func startUpdater(in process: Int) {
        running[process, default: 0] += 1
        Task { [self] in
            for _ in 0..<Self.updates {
                await stage.wait("updates", process: process)
                let target = stage.choices.choose(Self.rows + groups.count)
                let rows = target < Self.rows ? target..<target + 1 : 0..<Self.rows
                for row in rows {
                    versions[row] += 1
                    let delay = Duration.milliseconds(stage.choices.choose(Self.lag))
                    let from = max(stage.now + delay, replica[row].last?.from ?? stage.now)
                    replica[row].append((from, versions[row]))
                }
                let updated = versions
                let isExpiry = theme != .lagging && stage.choices.oneIn(2)
                await invalidate(target, updated, in: process, expiring: isExpiry)
                if isExpiry, theme != .expiring { continue }
                note(target, updated, triedIn: process)
                for row in rows {
                    acknowledged[row] = max(acknowledged[row], updated[row])
                    windows[row].append((stage.now, updated[row]))
                }
                stage.note("p\(process) has \(isExpiry ? "expired" : "invalidated"): \(acknowledged)")
            }
            running[process, default: 0] -= 1
        }
    }

    /// Invalidates or expires a row, or after those a group, until that succeeds.
    private func invalidate(_ target: Int, _ updated: [Int], in process: Int, expiring: Bool) async {
        let window = theme == .lagging ? Self.window : .zero
        let id = nextInvalidation
        nextInvalidation += 1
        invalidating[id] = process
        defer { invalidating[id] = nil }
        let stampings = store.stampings
        while true {
            do {
                switch (target < Self.rows, expiring) {
                case (true, true): return try await functions[process].expire(target)
                case (true, false): return try await functions[process].invalidate(target, settlingFor: window)
                case (false, true): return try await caches[process].expire(group: groups[target - Self.rows])
                case (false, false):
                    return try await caches[process].invalidate(
                        group: groups[target - Self.rows], settlingFor: window)
                }
            } catch {
                stage.note("p\(process) invalidates again")
                // It is taken for invalid here from now on.
                if !expiring { note(target, updated, triedIn: process) }
                if target >= Self.rows, !expiring {
                    acknowledge(groups[target - Self.rows], updated, since: stampings)
                }
                await stage.wait("tries again", process: process)
            }
        }
    }

    private func note(_ target: Int, _ updated: [Int], triedIn process: Int) {
        for row in 0..<Self.rows where target == row || target >= Self.rows {
            tried[process][row] = max(tried[process][row], updated[row])
        }
    }

    /// An invalidation that has failed holds for the values of the parts that it has reached.
    private func acknowledge(_ group: String, _ updated: [Int], since stampings: [SharedStore.Place: Int]) {
        guard store.lists == nil, let key = try? StoreKey("s:@\(group)") else { return }
        for row in 0..<Self.rows {
            let isReached = functions.allSatisfy { function in
                guard let value = try? function.key(row) else { return false }
                let place = SharedStore.Place(key: key, part: store.part(of: value))
                return stampings[place] != store.stampings[place]
            }
            if isReached { acknowledged[row] = max(acknowledged[row], updated[row]) }
        }
    }

    // MARK: The schedule

    private func run(on executor: DeterministicExecutor) -> Outcome {
        var steps = 0
        if stage.choices.oneIn(2) { warmUp(executor, &steps) }
        for process in 0..<Self.processes {
            for _ in 0..<Self.callersPerProcess { startCaller(in: process) }
        }
        startUpdater(in: 0)
        startUpdater(in: 1)
        if let lists = store.lists { startOperator(of: lists) }
        steps = 0
        while steps < Self.randomSteps, stage.violations.isEmpty {
            executor.drain()
            steps += 1
            switch stage.choices.choose(24) {
            case 0: stage.advance(by: .milliseconds(50))
            case 1: stage.advance(by: .seconds(1 + 2 * stage.choices.choose(2)))
            case 2 where stage.choices.oneIn(2): stage.advance(by: .seconds(11))
            case 3: misfortune()
            default:
                if !stage.letOneGoOn() { stage.advance(by: stage.untilNextWake ?? .milliseconds(50)) }
            }
        }
        settle(executor, &steps)
        rest(executor, &steps)
        return Outcome(
            violations: stage.violations, log: stage.log, choices: stage.choices.made, calls: calls, steps: steps)
    }

    /// Everything is cached before anything happens.
    private func warmUp(_ executor: DeterministicExecutor, _ steps: inout Int) {
        for row in 0..<Self.rows {
            _ = loads(in: 0, executor, &steps) { [function = functions[0]] in _ = try await function(row) }
        }
        stage.isCalm = false
    }

    private func misfortune() {
        let places = store.places
        switch stage.choices.choose(8) {
        case 0 where stage.dead.isEmpty && stage.choices.oneIn(3): stage.kill(stage.choices.choose(Self.processes))
        case _ where stage.isReliable || places.isEmpty: break
        case 1:
            store.damage(places[stage.choices.choose(places.count)], with: places[stage.choices.choose(places.count)])
        case 2: for place in places { store.evict(place) }
        // Where there are stamps they are lost as well, so that what is stored then is not valid.
        case 3...(groups.isEmpty ? 7 : 4): store.restart(stage.choices.choose(store.partCount))
        default: store.evict(places[stage.choices.choose(places.count)])
        }
    }

    /// Everything goes well from here on. I4: then nobody waits longer than for the end of a lease of a dead process,
    /// which is twice `lease` when it was prolonged, and once more for the load of whoever takes it over.
    private func settle(_ executor: DeterministicExecutor, _ steps: inout Int) {
        stage.isCalm = true
        let began = stage.now
        while stage.violations.isEmpty {
            executor.drain()
            steps += 1
            if stage.letOneGoOn() { continue }
            guard isAnyoneWaiting else { return }
            guard let wake = stage.untilNextWake, stage.now - began < Self.lease * 5 else { break }
            stage.advance(by: max(wake, .milliseconds(1)))
        }
        if stage.violations.isEmpty { stage.violations.append("I4: a caller waits for ever") }
    }

    /// Nothing is loaded again and again when nothing happens.
    private func rest(_ executor: DeterministicExecutor, _ steps: inout Int) {
        guard stage.violations.isEmpty, let process = (0..<Self.processes).first(where: { !stage.dead.contains($0) })
        else { return }
        let (cache, function) = (caches[process], functions[process])
        // What has failed is repeated, and pauses end.
        stage.advance(by: .seconds(6))
        _ = loads(in: process, executor, &steps) { _ = try await function(0) }
        for group in groups { _ = loads(in: process, executor, &steps) { try await cache.expire(group: group) } }
        _ = loads(in: process, executor, &steps) { _ = try await function(0) }
        let began = stage.now
        let count = loads(in: process, executor, &steps) { _ = try await function(0) }
        if count > 0, stage.now == began, stage.violations.isEmpty, shield.policy.earlyRefresh == .none {
            stage.violations.append("what has just been loaded is loaded again")
        }
    }

    /// How many loads begin while a process does something and all goes well.
    private func loads(
        in process: Int, _ executor: DeterministicExecutor, _ steps: inout Int,
        during action: @escaping @Sendable () async throws -> Void
    ) -> Int {
        let before = loadCount
        running[process, default: 0] += 1
        Task { [self] in
            try? await action()
            running[process, default: 0] -= 1
        }
        settle(executor, &steps)
        return loadCount - before
    }

    private var isAnyoneWaiting: Bool {
        running.contains { process, count in count > 0 && !stage.dead.contains(process) }
    }
}
