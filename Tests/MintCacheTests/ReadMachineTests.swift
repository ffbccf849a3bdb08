import TestSupport
import Testing

@testable import MintCache

@Suite("The rules of a read")
struct ReadMachineTests {
    private typealias Item = ReadMachine.ValueItem

    private let clock = ManualClock()
    private let stamp = GroupStamp(rawValue: 1)
    private let policy = CachePolicy(staleFor: .seconds(10), leaseFor: .seconds(5))

    private var now: WallTime { clock.now }

    private func cas(_ number: UInt64 = 1) throws -> StoreItem.CAS {
        try #require(StoreItem.CAS(rawValue: number))
    }

    private func value(freshFor: Duration, claimFor: Duration? = nil) throws -> Item {
        let record = CachedRecord(
            identity: LoadToken(rawValue: 1), createdAt: now, freshUntil: now + freshFor, loadMicroseconds: 0,
            claim: claimFor.map { Lease(token: LoadToken(rawValue: 2), until: now + $0) }, stamps: [stamp],
            payload: Payload(tag: 0, bytes: [42]))
        return Item(cas: try cas(), envelope: .value(record))
    }

    private func pending(for duration: Duration) throws -> Item {
        let lease = Lease(token: LoadToken(rawValue: 2), until: now + duration)
        return Item(cas: try cas(), envelope: .pending(lease, stamps: [stamp]))
    }

    /// What the machine says, in one word; `take` and `add` for taking the lease over an item and over none.
    private func word(
        _ item: Item?, groups: ReadMachine.Groups? = nil, goal: ReadMachine.Goal = .value, decodes: Bool = true
    ) -> String {
        var machine = ReadMachine(policy: policy, goal: goal)
        let word = word(&machine, item, groups, decodes: decodes, at: now)
        if goal == .value, decodes {
            var isHit = false
            if case .value(let record) = item?.envelope, case .stamps(let stamps) = groups ?? .stamps([stamp]) {
                isHit = record.isHit(under: stamps, by: clock)
            }
            #expect(isHit == word.hasPrefix("serve"), "a hit is what the machine serves")
        }
        return word
    }

    private func word(
        _ machine: inout ReadMachine, _ item: Item?, _ groups: ReadMachine.Groups? = nil, decodes: Bool = true,
        at now: WallTime
    ) -> String {
        let read = ReadMachine.Read(item: item, groups: groups ?? .stamps([stamp]))
        var action = machine.fetched(read, at: now)
        if action.record != nil, !decodes { action = machine.fetched(read.withGarbage, at: now) }
        let value = action.record?.payload.bytes.first ?? 0
        switch action {
        case .plant(let plantings): return "plant \(plantings.map(\.group))"
        case .serve: return "serve \(value)"
        case .serveStale: return "stale \(value)"
        case .claim(let acquisition, _):
            guard case .value(let record) = acquisition.envelope, record.claim?.token == acquisition.token else {
                return "a claim that does not keep the value"
            }
            return "claim \(value)"
        case .acquire(let acquisition):
            if case .value = acquisition.envelope { return "take, keeping the value" }
            return acquisition.over == nil ? "add" : "take"
        case .readAgain: return "read again"
        case .wait(let token, _): return "wait for \(token.rawValue)"
        case .loadWithoutLease: return "load without a lease"
        }
    }

    @Test("nothing there: add a pending item")
    func absent() { #expect(word(nil) == "add") }

    @Test("a fresh value: serve it")
    func fresh() throws {
        #expect(try word(value(freshFor: .seconds(1))) == "serve 42")
        #expect(try word(value(freshFor: .seconds(1), claimFor: .seconds(1))) == "serve 42")
    }

    @Test("a stale value that nobody refreshes, or whose refresher's lease is over: claim it")
    func stale() throws {
        #expect(try word(value(freshFor: .zero)) == "claim 42")
        #expect(try word(value(freshFor: .seconds(-9))) == "claim 42")
        #expect(try word(value(freshFor: .seconds(-9), claimFor: .zero)) == "claim 42")
    }

    @Test("a stale value that someone refreshes: serve it stale")
    func claimed() throws {
        #expect(try word(value(freshFor: .seconds(-9), claimFor: .seconds(1))) == "stale 42")
    }

    @Test("a value too old to be served: wait for its refresher, or take the lease")
    func tooOld() throws {
        #expect(try word(value(freshFor: .seconds(-10))) == "take")
        #expect(try word(value(freshFor: .seconds(-10), claimFor: .zero)) == "take")
        #expect(try word(value(freshFor: .seconds(-10), claimFor: .seconds(1))) == "wait for 2")
    }

    @Test("pending: wait while the lease runs, then take it over")
    func pendingItem() throws {
        #expect(try word(pending(for: .seconds(1))) == "wait for 2")
        #expect(try word(pending(for: .zero)) == "take")
    }

    @Test("other stamps: take the lease, whatever stands there")
    func otherStamps() throws {
        let other = ReadMachine.Groups.stamps([GroupStamp(rawValue: 3)])
        #expect(try word(value(freshFor: .seconds(1)), groups: other) == "take")
        #expect(try word(pending(for: .zero), groups: other) == "take")
        #expect(try word(value(freshFor: .seconds(1)), groups: .stamps([])) == "take")
        #expect(try word(value(freshFor: .seconds(1)), groups: .stamps([stamp, stamp])) == "take")
    }

    @Test("a lease that runs under other stamps: read again, for either may be the older, then take it over")
    func suspectLease() throws {
        let other = ReadMachine.Groups.stamps([GroupStamp(rawValue: 3)])
        for item in [try pending(for: .seconds(1)), try value(freshFor: .seconds(1), claimFor: .seconds(1))] {
            var machine = ReadMachine(policy: policy)
            #expect(word(&machine, item, other, at: now) == "read again")
            #expect(word(&machine, item, other, at: now) == "take")
            // The stamps were the older.
            machine = ReadMachine(policy: policy)
            #expect(word(&machine, item, other, at: now) == "read again")
            #expect(["wait for 2", "serve 42"].contains(word(&machine, item, at: now)))
            #expect(word(item, groups: other, goal: .refresh) == "take")
        }
    }

    @Test("garbage, or a payload that cannot be decoded: take the lease")
    func garbage() throws {
        #expect(word(Item(cas: try cas(), envelope: nil)) == "take")
        #expect(try word(value(freshFor: .seconds(1)), decodes: false) == "take")
        #expect(try word(value(freshFor: .seconds(-1)), decodes: false) == "take")
    }

    @Test("groups without a stamp: plant stamps first")
    func missingStamps() throws {
        let item = try value(freshFor: .seconds(1))
        #expect(word(item, groups: .incomplete([.init(group: 0)])) == "plant [0]")
        #expect(try word(item, groups: .incomplete([.init(group: 1, over: cas()), .init(group: 2)])) == "plant [1, 2]")
    }

    @Test("a refresh takes the lease over anything, and keeps a value that can be served")
    func refresh() throws {
        #expect(word(nil, goal: .refresh) == "add")
        #expect(try word(value(freshFor: .seconds(1)), goal: .refresh) == "take, keeping the value")
        #expect(
            try word(value(freshFor: .seconds(-1), claimFor: .seconds(1)), goal: .refresh) == "take, keeping the value")
        #expect(try word(value(freshFor: .seconds(-10), claimFor: .seconds(1)), goal: .refresh) == "take")
        #expect(try word(pending(for: .seconds(1)), goal: .refresh) == "take")
    }

    @Test("nobody goes round longer than a lease runs, but a value that comes late is still served")
    func overdue() throws {
        var machine = ReadMachine(policy: policy)
        let lease = { (start: WallTime) -> Item in
            Item(
                cas: try cas(),
                envelope: .pending(Lease(token: LoadToken(rawValue: 2), until: start + .seconds(60)), stamps: [stamp]))
        }
        #expect(try word(&machine, lease(now), at: now) == "wait for 2")
        #expect(try word(&machine, lease(now), at: now + .seconds(4)) == "wait for 2")
        #expect(try word(&machine, lease(now), at: now + .seconds(5)) == "load without a lease")
        // The lease may have ended at that very moment: there is one try to take it.
        #expect(word(&machine, nil, at: now + .seconds(5)) == "add")
        #expect(word(&machine, nil, at: now + .seconds(5)) == "load without a lease")
        #expect(word(&machine, nil, .incomplete([.init(group: 0)]), at: now + .seconds(5)) == "load without a lease")
        #expect(try word(&machine, value(freshFor: .seconds(60)), at: now + .seconds(5)) == "serve 42")
    }

    @Test("pauses grow and never outlast the lease that is waited for")
    func pauses() throws {
        var machine = ReadMachine(policy: policy)
        var pauses: [Duration] = []
        for _ in 0..<10 {
            let read = ReadMachine.Read(item: try pending(for: .milliseconds(80)), groups: .stamps([stamp]))
            let action = machine.fetched(read, at: now)
            if case .wait(_, let pause) = action { pauses.append(pause) }
        }
        #expect(pauses == [2, 4, 8, 16, 32, 64, 80, 80, 80, 80].map(Duration.milliseconds))
    }
}
