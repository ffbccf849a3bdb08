/// What the histories say.
struct Findings {
    var calls = 0
    var invalidations = 0
    var loads = 0
    /// Violations of I1 and I2.
    var staleAnswers = 0
    /// Answers of another row or type, and errors.
    var wrongAnswers = 0
    /// Those that were held for when the store is away.
    var heldAnswers = 0
    /// While nothing is changed and nothing goes wrong. A tenth more loads than expiries may be: what a client whose
    /// operations failed shortly before had to load without a lease.
    var calmLoads = 0
    var calmExpiries = 0
    /// Calls that waited for longer than anything that they may have to wait for.
    var longWaits = 0
    /// Nanoseconds; of a call whose process was not stopped meanwhile.
    var longestCall: Int64 = 0
    /// Of the longest of the long waits.
    var longestWait: Int64 = 0
    var faults: [String: Int] = [:]
    /// Clients that ended as they should not, or never.
    var crashedClients = 0

    var isClean: Bool {
        staleAnswers == 0 && wrongAnswers == 0 && crashedClients == 0 && longWaits == 0
            && calmLoads <= calmExpiries * 11 / 10 + 1 && calls > 1000 && invalidations > 100 && calmLoads > 0
            && faults.count == Fault.allCases.count
    }

    /// Whether a promise was broken that a planted mistake can break.
    var isBroken: Bool { staleAnswers + longWaits + wrongAnswers > 0 }

    mutating func add(_ other: Findings) {
        calls += other.calls
        invalidations += other.invalidations
        loads += other.loads
        staleAnswers += other.staleAnswers
        wrongAnswers += other.wrongAnswers
        heldAnswers += other.heldAnswers
        calmLoads += other.calmLoads
        calmExpiries += other.calmExpiries
        longestCall = max(longestCall, other.longestCall)
        longestWait = max(longestWait, other.longestWait)
        longWaits += other.longWaits
        faults.merge(other.faults, uniquingKeysWith: +)
        crashedClients += other.crashedClients
    }

    var text: String {
        let faults = faults.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        let perExpiry = calmExpiries == 0 ? 0 : Double(calmLoads) / Double(calmExpiries)
        return """
            \(calls) calls, \(heldAnswers) of them answered with what was held, \(invalidations) invalidations, \(loads) loads; \(faults)
            stale answers (I1, I2): \(staleAnswers); wrong answers (I6): \(wrongAnswers); clients that crashed: \(crashedClients)
            calm: \(calmLoads) loads for \(calmExpiries) expiries, \(perExpiry) each
            longest call: \(longestCall / 1_000_000) ms; too long for what it may wait for (I4): \(longWaits), up to \(longestWait / 1_000_000) ms
            """
    }
}

/// Reads the merged histories.
enum Checker {
    /// - Parameters:
    ///   - cachesInCalm: whether the servers have room for what is called in the calm.
    ///   - settled: how many nanoseconds after an invalidation nothing is served any more that a replica said meanwhile; a
    ///     call that shares a load may still be told what that says.
    static func check(
        _ histories: [[Event]], calm: Int64, stops: [Stop], kills: [Int64], cachesInCalm: Bool, settled: Int64
    ) -> Findings {
        var findings = Findings()
        let events = histories.flatMap(\.self)
        let waits = Waits(events, stops: stops, kills: kills)
        for (history, events) in histories.enumerated() {
            let stops = stops.filter { $0.history == history }
            for event in events where event.kind != .load && !event.isInvalidation {
                if stops.contains(where: { $0.begin <= event.end && event.begin <= $0.end }) { continue }
                let time = event.end - event.begin
                findings.longestCall = max(findings.longestCall, time)
                guard time > waits.allowed(for: event) else { continue }
                findings.longWaits += 1
                findings.longestWait = max(findings.longestWait, time)
            }
        }
        let invalidations = events.filter { $0.kind == .invalidation }
        findings.invalidations = invalidations.count
        let acknowledged = Acknowledged(invalidations)
        let loaded = settled == 0 ? [:] : lastLoads(events)
        for events in histories {
            // What a process has tried to invalidate it does not serve, whether it could or not.
            let here = settled == 0 ? Acknowledged(events.filter(\.isInvalidation)) : Acknowledged([])
            for event in events where !event.isInvalidation {
                if event.kind == .load {
                    findings.loads += 1
                    continue
                }
                findings.calls += 1
                if event.kind == .wrongAnswer { findings.wrongAnswers += 1 }
                if event.kind == .heldCall { findings.heldAnswers += 1 }
                let patience = event.kind == .heldCall ? ClientPlan.held : settled
                let required = max(
                    acknowledged.version(of: event.row, at: event.begin - patience),
                    here.version(of: event.row, at: event.begin))
                guard event.version < required else { continue }
                let said = loaded[Loaded(row: event.row, version: event.version)]
                if settled == 0 || said.map({ $0 < event.begin }) != false { findings.staleAnswers += 1 }
            }
        }
        if cachesInCalm { (findings.calmLoads, findings.calmExpiries) = calmLoads(events, from: calm) }
        return findings
    }

    private struct Loaded: Hashable {
        var row: Int
        var version: Int64
    }

    /// When the last load of each version ended.
    private static func lastLoads(_ events: [Event]) -> [Loaded: Int64] {
        var ends: [Loaded: Int64] = [:]
        for event in events where event.kind == .load {
            ends[Loaded(row: event.row % SharedDatabase.rows, version: event.version), default: 0].raise(to: event.end)
        }
        return ends
    }

    /// How many loads there were from some time after the calm began, and how many there should have been: the value of
    /// a load is fresh for its time to live, less what the clocks differ by, and no load of its key may begin before.
    private static func calmLoads(_ events: [Event], from calm: Int64) -> (loads: Int, expiries: Int) {
        var ends: [Int: Int64] = [:]
        var (loads, expiries) = (0, 0)
        let settled = calm + 300_000_000
        for load in events.filter({ $0.kind == .load && $0.begin > settled }).sorted(by: { $0.begin < $1.begin }) {
            loads += 1
            if load.begin >= ends[load.row, default: 0] { expiries += 1 }
            ends[load.row] = max(ends[load.row, default: 0], load.end + ClientPlan.surelyFresh)
        }
        return (loads, expiries)
    }

}

/// For each row, when each version was acknowledged, and the highest one acknowledged until then.
private struct Acknowledged {
    private var versions: [Int: [(time: Int64, version: Int64)]] = [:]

    init(_ invalidations: [Event]) {
        for event in invalidations.sorted(by: { $0.end < $1.end }) {
            let highest = versions[event.row]?.last?.version ?? 0
            versions[event.row, default: []].append((event.end, max(highest, event.version)))
        }
    }

    /// The version that a call which begins at a time has to be answered with at least.
    func version(of row: Int, at time: Int64) -> Int64 {
        let versions = versions[row] ?? []
        var (low, high) = (0, versions.count)
        while low < high {
            let middle = (low + high) / 2
            if versions[middle].time < time { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? 0 : versions[low - 1].version
    }
}

extension Event {
    fileprivate var isInvalidation: Bool { kind == .invalidation || kind == .tried }
}

extension Int64 {
    fileprivate mutating func raise(to other: Int64) { self = Swift.max(self, other) }
}
