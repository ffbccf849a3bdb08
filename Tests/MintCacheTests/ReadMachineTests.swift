import TestSupport
import Testing

@testable import MintCache

@Suite("The rules of a read")
struct ReadMachineTests {
    private typealias Item = ReadMachine.ValueItem

    private let clock = ManualClock()
    private let stamp = GroupStamp(hard: 1)
    private let policy = CachePolicy(staleFor: .seconds(10), leaseFor: .seconds(5))

    private var now: WallTime { clock.now }

    private func cas(_ number: UInt64 = 1) throws -> StoreItem.CAS {
        try #require(StoreItem.CAS(rawValue: number))
    }

    private func value(
        freshFor: Duration, claimFor: Duration? = nil, identity: UInt64 = 1, stamps: GroupStamps? = nil
    ) throws -> Item {
        let record = CachedRecord(
            identity: LoadToken(rawValue: identity), createdAt: now, freshUntil: now + freshFor, loadMicroseconds: 0,
            claim: claimFor.map { Lease(token: LoadToken(rawValue: 2), until: now + $0) }, stamps: stamps ?? [stamp],
            payload: Payload(tag: 0, bytes: [42]))
        return Item(cas: try cas(), envelope: .value(record))
    }

    private func pending(for duration: Duration) throws -> Item {
        let lease = Lease(token: LoadToken(rawValue: 2), until: now + duration)
        return Item(cas: try cas(), envelope: .pending(lease, stamps: [stamp]))
    }

    private func stamps(
        _ stamps: GroupStamps, expired: Duration? = nil, settlingFor window: Duration? = nil
    ) -> ReadMachine.Groups {
        .stamps(
            GroupReading(
                stamps: stamps, expiredAt: expired.map { now + $0 } ?? .never,
                settlingUntil: window.map { now + $0 } ?? .never))
    }

    /// What the machine says, in one word; `take` and `add` for taking the lease over an item and over none.
    private func word(
        _ item: Item?, groups: ReadMachine.Groups? = nil, goal: ReadMachine.Goal = .value, decodes: Bool = true
    ) -> String {
        var machine = ReadMachine(policy: policy, goal: goal, since: clock.elapsed)
        let word = word(&machine, item, groups, decodes: decodes, at: now)
        if goal == .value, decodes {
            var isHit = false
            if case .value(let record) = item?.envelope, case .stamps(let reading) = groups ?? stamps([stamp]) {
                isHit = record.isHit(under: reading, by: clock)
            }
            #expect(isHit == word.hasPrefix("serve"), "a hit is what the machine serves")
        }
        return word
    }

    private func word(
        _ machine: inout ReadMachine, _ item: Item?, _ groups: ReadMachine.Groups? = nil, decodes: Bool = true,
        here: FlightTable.State = .unknown, failure: RecentFailures.Failure? = nil, at time: WallTime
    ) -> String {
        let read = ReadMachine.Read(
            item: item, groups: groups ?? stamps([stamp]), leaseHere: here, failure: failure)
        let moment = ReadMachine.Moment(wall: time, elapsed: clock.elapsed + (time - now))
        var action = machine.fetched(read, at: moment)
        if action.record != nil, !decodes { action = machine.fetched(read.withGarbage(.undecodable), at: moment) }
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
        case .fail: return "share the failure"
        case .wait(let wait): return "wait for \(wait.token.rawValue)" + (wait.stamps == nil ? ", not sharing" : "")
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
        let other = stamps([GroupStamp(hard: 3)])
        #expect(try word(value(freshFor: .seconds(1)), groups: other) == "take")
        #expect(try word(pending(for: .zero), groups: other) == "take")
        #expect(try word(value(freshFor: .seconds(1)), groups: stamps([])) == "take")
        #expect(try word(value(freshFor: .seconds(1)), groups: stamps([stamp, stamp])) == "take")
    }

    @Test("a lease that runs under other stamps: read again, for either may be the older, then take it over")
    func suspectLease() throws {
        let other = stamps([GroupStamp(hard: 3)])
        for item in [try pending(for: .seconds(1)), try value(freshFor: .seconds(1), claimFor: .seconds(1))] {
            var machine = ReadMachine(policy: policy, since: clock.elapsed)
            #expect(word(&machine, item, other, at: now) == "read again")
            #expect(word(&machine, item, other, at: now) == "take")
            // The stamps were the older.
            machine = ReadMachine(policy: policy, since: clock.elapsed)
            #expect(word(&machine, item, other, at: now) == "read again")
            #expect(["wait for 2", "serve 42"].contains(word(&machine, item, at: now)))
            var refresh = ReadMachine(policy: policy, goal: .refresh, since: clock.elapsed)
            #expect(word(&refresh, item, other, at: now) == "read again")
            #expect(word(&refresh, item, other, at: now) == "take")
        }
    }

    @Test("the lease of a load of this process that has ended: nobody waits for it, but for a fill that is under way")
    func leaseHere() throws {
        let flight = try flight()
        let stale = try value(freshFor: .seconds(-1), claimFor: .seconds(4))
        for (state, pending, claimed) in [
            (.unknown, "wait for 2", "stale 42"), (.loading(flight), "wait for 2", "stale 42"),
            (.landed(flight), "wait for 2", "stale 42"), (.orphaned, "take", "claim 42"),
        ] as [(FlightTable.State, String, String)] {
            var machine = ReadMachine(policy: policy, since: clock.elapsed)
            #expect(try word(&machine, self.pending(for: .seconds(4)), here: state, at: now) == pending)
            #expect(word(&machine, stale, here: state, at: now) == claimed)
        }
        // What was read is older than what the load left: once, for then it is what it left.
        var machine = ReadMachine(policy: policy, since: clock.elapsed)
        #expect(try word(&machine, pending(for: .seconds(4)), here: .ended, at: now) == "read again")
        #expect(try word(&machine, pending(for: .seconds(4)), here: .ended, at: now) == "take")
    }

    private func flight() throws -> Flight<Int> {
        let lease = Lease(token: LoadToken(rawValue: 2), until: now + .seconds(4))
        return Flight(
            Acquisition(
                token: lease.token, stamps: [], over: nil, envelope: .pending(lease, stamps: []), expiry: .seconds(9)),
            CacheEntry(key: try StoreKey("k"), options: .init(policy: policy)),
            in: StorePart(id: 0, store: InMemoryStore()), frame: LoadFrame(of: clock),
            deadlines: Deadlines(clock: clock))
    }

    @Test("after a failure: stale values are served for a while, and the error is shared only where that is asked for")
    func failure() throws {
        struct Sad: Error {}
        let failure = RecentFailures.Failure(
            error: Sad(), at: clock.elapsed, pausedUntil: clock.elapsed + .seconds(1), left: LoadToken(rawValue: 2),
            stamps: [stamp], count: 1)
        func word(_ item: Item, _ policy: CachePolicy, goal: ReadMachine.Goal = .value, after: Duration) -> String {
            var machine = ReadMachine(policy: policy, goal: goal, since: clock.elapsed)
            return self.word(&machine, item, failure: failure, at: now + after)
        }
        let stale = try value(freshFor: .zero)
        #expect(word(stale, policy, after: .milliseconds(999)) == "stale 42")
        #expect(word(stale, policy, after: .seconds(1)) == "claim 42")
        #expect(word(stale, policy, goal: .refresh, after: .zero) == "take, keeping the value")
        let released = try pending(for: .zero)
        #expect(word(released, policy, after: .zero) == "take")
        var sharing = policy
        sharing.errorSharing = .init(for: .seconds(2))
        #expect(word(released, sharing, after: .milliseconds(1999)) == "share the failure")
        #expect(word(released, sharing, after: .seconds(2)) == "take")
        #expect(word(released, sharing, goal: .refresh, after: .zero) == "take")
        sharing.errorSharing = .init(for: .seconds(2)) { !($0 is Sad) }
        #expect(word(released, sharing, after: .zero) == "take")
    }

    @Test("a miss knows why it is one")
    func reasons() throws {
        let (group, other) = (try StoreKey("a"), try StoreKey("b"))
        let old = GroupStamp.random(for: group, isPlanted: false)
        func reason(
            _ item: Item?, _ stamps: GroupStamps?, goal: ReadMachine.Goal = .value, garbage: CacheEvent.Reason? = nil
        ) -> CacheEvent.Reason? {
            var machine = ReadMachine(policy: policy, goal: goal, since: clock.elapsed)
            let groups = stamps.map { self.stamps($0) } ?? .incomplete([.init(group: 0, stamp: old)])
            var read = ReadMachine.Read(item: item, groups: groups)
            if let garbage { read = read.withGarbage(garbage) }
            _ = machine.fetched(read, at: .init(wall: now, elapsed: clock.elapsed))
            return machine.reason
        }
        let fresh = try value(freshFor: .seconds(9), stamps: [old])
        let (invalidated, planted) = (
            GroupStamp.random(for: group, isPlanted: false), GroupStamp.random(for: group, isPlanted: true)
        )
        #expect(reason(fresh, [old]) == nil)
        #expect(reason(nil, [old]) == .absent)
        #expect(try reason(pending(for: .seconds(1)), [stamp]) == .absent)
        #expect(try reason(value(freshFor: .seconds(-10), stamps: [old]), [old]) == .expired)
        #expect(reason(fresh, [invalidated]) == .groupInvalidated)
        #expect(reason(fresh, [planted]) == .stampLost)
        #expect(reason(fresh, nil) == .stampLost)
        #expect(reason(fresh, []) == .otherGroups)
        #expect(reason(fresh, [old, old]) == .otherGroups)
        #expect(reason(fresh, [.random(for: other, isPlanted: false)]) == .otherGroups)
        #expect(try reason(Item(cas: cas()), [old]) == .foreignBytes)
        #expect(reason(fresh, [old], garbage: .undecodable) == .undecodable)
        #expect(reason(nil, [old], goal: .refresh) == .refresh)
    }

    @Test("garbage, or a payload that cannot be decoded: take the lease")
    func garbage() throws {
        #expect(word(Item(cas: try cas(), envelope: nil)) == "take")
        #expect(try word(value(freshFor: .seconds(1)), decodes: false) == "take")
        #expect(try word(value(freshFor: .seconds(-1)), decodes: false) == "take")
    }

    @Test("garbage that someone loads over: wait, and remember its window")
    func garbageWithLease() throws {
        let claimed = try value(freshFor: .seconds(-1), claimFor: .seconds(1))
        #expect(word(claimed, decodes: false) == "wait for 2")
        var over = try value(freshFor: .seconds(1))
        guard case .value(var record) = over.envelope else { return }
        record.claim = .over(LoadToken(rawValue: 2), settlingUntil: now + .seconds(9))
        over.envelope = .value(record)
        var machine = ReadMachine(policy: policy, since: clock.elapsed)
        let read = ReadMachine.Read(item: over, groups: stamps([stamp])).withGarbage(.otherServers)
        guard case .acquire(let lease) = machine.fetched(read, at: .init(wall: now, elapsed: clock.elapsed)) else {
            return #expect(Bool(false), "no lease")
        }
        #expect(lease.settlingUntil == now + .seconds(9) && lease.expiry >= .seconds(9))
        #expect(machine.reason == .otherServers)
    }

    @Test("groups without a stamp: plant stamps first")
    func missingStamps() throws {
        let item = try value(freshFor: .seconds(1))
        #expect(word(item, groups: .incomplete([.init(group: 0, stamp: stamp)])) == "plant [0]")
        #expect(
            try word(
                item, groups: .incomplete([.init(group: 1, stamp: stamp, over: cas()), .init(group: 2, stamp: stamp)]))
                == "plant [1, 2]")
    }

    @Test("a refresh keeps a value that can be served, and waits for a load that runs")
    func refresh() throws {
        #expect(word(nil, goal: .refresh) == "add")
        #expect(try word(value(freshFor: .seconds(1)), goal: .refresh) == "take, keeping the value")
        #expect(try word(value(freshFor: .seconds(-1), claimFor: .zero), goal: .refresh) == "take, keeping the value")
        #expect(try word(value(freshFor: .seconds(-1), claimFor: .seconds(1)), goal: .refresh) == "wait for 2")
        #expect(try word(value(freshFor: .seconds(-10), claimFor: .seconds(1)), goal: .refresh) == "wait for 2")
        #expect(try word(pending(for: .seconds(1)), goal: .refresh) == "wait for 2")
        #expect(try word(pending(for: .zero), goal: .refresh) == "take")
    }

    @Test("a refresh takes a value whose load began after it did, and no other")
    func newerValue() throws {
        for first in [nil, try pending(for: .seconds(1)), try value(freshFor: .seconds(1), claimFor: .seconds(1))] {
            var machine = ReadMachine(policy: policy, goal: .refresh, since: clock.elapsed)
            _ = word(&machine, first, at: now)
            // Of the load that ran then, which may have begun before.
            let itsLoad = try word(&machine, value(freshFor: .seconds(1), identity: 2), at: now)
            #expect(itsLoad == (first == nil ? "serve 42" : "take, keeping the value"))
            #expect(try word(&machine, value(freshFor: .seconds(1), identity: 3), at: now) == "serve 42")
            #expect(
                try word(&machine, value(freshFor: .zero, identity: 3), at: now) == "take, keeping the value")
        }
    }

    @Test("nobody goes round longer than the longest lease runs, but a value that comes late is still served")
    func overdue() throws {
        var machine = ReadMachine(policy: policy, since: clock.elapsed)
        let lease = { (start: WallTime) -> Item in
            Item(
                cas: try cas(),
                envelope: .pending(Lease(token: LoadToken(rawValue: 2), until: start + .seconds(60)), stamps: [stamp]))
        }
        #expect(try word(&machine, lease(now), at: now) == "wait for 2")
        #expect(try word(&machine, lease(now), at: now + .seconds(9)) == "wait for 2")
        #expect(try word(&machine, lease(now), at: now + .seconds(10)) == "load without a lease")
        // The lease may have ended at that very moment: there is one try to take it.
        #expect(word(&machine, nil, at: now + .seconds(10)) == "add")
        #expect(word(&machine, nil, at: now + .seconds(10)) == "load without a lease")
        #expect(
            word(&machine, nil, .incomplete([.init(group: 0, stamp: stamp)]), at: now + .seconds(10))
                == "load without a lease")
        #expect(try word(&machine, value(freshFor: .seconds(60)), at: now + .seconds(10)) == "serve 42")
    }

    @Test("pauses grow and never outlast the lease that is waited for")
    func pauses() throws {
        var machine = ReadMachine(policy: policy, since: clock.elapsed)
        var pauses: [Duration] = []
        for _ in 0..<10 {
            let read = ReadMachine.Read(item: try pending(for: .milliseconds(80)), groups: stamps([stamp]))
            let action = machine.fetched(read, at: .init(wall: now, elapsed: clock.elapsed))
            if case .wait(let wait) = action { pauses.append(wait.pause) }
        }
        #expect(pauses == [2, 4, 8, 16, 32, 64, 80, 80, 80, 80].map(Duration.milliseconds))
    }

    // MARK: Expiring and settling

    @Test("a value of a group that was expired is stale since then, and what is loaded for it is fresh")
    func expiredGroup() throws {
        let soft = GroupStamp(hard: stamp.hard, soft: 9)
        let fresh = try value(freshFor: .seconds(60))
        #expect(word(fresh, groups: stamps([soft], expired: .seconds(-9))) == "claim 42")
        // By whatever clock.
        #expect(word(fresh, groups: stamps([soft], expired: .seconds(9))) == "claim 42")
        #expect(word(fresh, groups: stamps([soft], expired: .seconds(-10))) == "take")
        #expect(
            try word(
                value(freshFor: .seconds(60), claimFor: .seconds(1)), groups: stamps([soft], expired: .seconds(-9)))
                == "stale 42")
        #expect(word(fresh, groups: stamps([soft], expired: .zero), goal: .refresh) == "take, keeping the value")
        // It is invalid where the group was invalidated too.
        #expect(word(fresh, groups: stamps([GroupStamp(hard: 8, soft: 9)], expired: .zero)) == "take")
        var machine = ReadMachine(policy: policy, since: clock.elapsed)
        let read = ReadMachine.Read(item: fresh, groups: stamps([soft], expired: .zero))
        guard case .claim(let claim, _) = machine.fetched(read, at: .init(wall: now, elapsed: clock.elapsed)) else {
            return #expect(Bool(false), "no claim")
        }
        #expect(claim.stamps == [soft] && claim.kept?.stamps == [stamp])
        #expect(machine.reason == .expired)
    }

    @Test("a load that was under way when its group or its key was expired is waited for, and not shared")
    func expiredLoad() throws {
        let soft = GroupStamp(hard: stamp.hard, soft: 9)
        let flight = try flight()
        var lease = Lease(token: LoadToken(rawValue: 2), until: now + .seconds(1))
        func wait(_ item: Item, _ groups: ReadMachine.Groups) throws -> ReadMachine.Wait {
            var machine = ReadMachine(policy: policy, since: clock.elapsed)
            let read = ReadMachine.Read(item: item, groups: groups)
            guard case .wait(let wait) = machine.fetched(read, at: .init(wall: now, elapsed: clock.elapsed)) else {
                throw CacheError(.storeFailure, "no wait")
            }
            return wait
        }
        var acquisition = flight.acquisition
        acquisition.stamps = [stamp]
        #expect(try wait(pending(for: .seconds(1)), stamps([stamp])).shares(acquisition))
        #expect(try !wait(pending(for: .seconds(1)), stamps([soft], expired: .zero)).shares(acquisition))
        lease.isExpired = true
        let expired = Item(cas: try cas(), envelope: .pending(lease, stamps: [stamp]))
        #expect(try !wait(expired, stamps([stamp])).shares(acquisition))
        #expect(word(expired) == "wait for 2, not sharing")
    }

    @Test("a lease carries the window of the group, of the mark, or of the lease that it replaces")
    func windows() throws {
        func window(_ envelope: Envelope?, _ groups: ReadMachine.Groups, at time: WallTime? = nil) throws -> WallTime? {
            var machine = ReadMachine(policy: policy, since: clock.elapsed)
            let item = try envelope.map { Item(cas: try cas(), envelope: $0) }
            let read = ReadMachine.Read(item: item, groups: groups)
            guard
                case .acquire(let acquisition) = machine.fetched(
                    read, at: .init(wall: time ?? now, elapsed: clock.elapsed)),
                acquisition.envelope.settlingUntil == acquisition.settlingUntil
            else { return nil }
            return acquisition.settlingUntil
        }
        let none = stamps([stamp])
        #expect(try window(nil, none) == .never)
        #expect(try window(nil, stamps([stamp], settlingFor: .seconds(3))) == now + .seconds(3))
        #expect(try window(.mark(settlingUntil: now + .seconds(2)), none) == now + .seconds(2))
        #expect(
            try window(.mark(settlingUntil: now + .seconds(2)), stamps([stamp], settlingFor: .seconds(3)))
                == now + .seconds(3))
        let over = Lease.over(LoadToken(rawValue: 2), settlingUntil: now + .seconds(2))
        #expect(try window(.pending(over, stamps: [stamp]), none) == now + .seconds(2))
        #expect(try window(.pending(over, stamps: [stamp]), none, at: now + .seconds(2)) == .never)
    }

    @Test("a value that is settling is never served stale")
    func settlingValue() throws {
        guard case .value(var record) = try value(freshFor: .zero).envelope else { return }
        record.isSettling = true
        #expect(word(Item(cas: try cas(), envelope: .value(record))) == "take")
        record.freshUntil = now + .seconds(1)
        #expect(word(Item(cas: try cas(), envelope: .value(record))) == "serve 42")
    }

    @Test("what a later version of this package has there: wait for its load, then take the lease")
    func laterEnvelope() throws {
        let lease = Lease(token: LoadToken(rawValue: 2), until: now + .seconds(1))
        #expect(word(Item(cas: try cas(), envelope: .later(lease))) == "wait for 2")
        #expect(word(Item(cas: try cas(), envelope: .later(nil))) == "take")
        #expect(word(Item(cas: try cas(), envelope: .mark(settlingUntil: now + .seconds(9)))) == "take")
    }
}
