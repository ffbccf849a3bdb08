import MintCache
import Testing

/// The real cache under random schedules, each of them one order of everything that can happen at the same time.
///
/// Each test is a process of its own, because it takes the global executor over. A schedule that fails is printed with
/// its seed, after as much was left out of it as can be.
@Suite("Interleavings")
struct InterleavingTests {
    @Test("of ten thousand schedules none breaks an invariant")
    func invariants() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            let search = try Search.run(schedules: 10_000)
            print("\(search.schedules) schedules, \(search.calls) calls, \(search.steps) steps")
            #expect(search.failure == nil, "\(search.failure ?? "")")
            // They were not few or short: nearly all calls were answered.
            #expect(search.calls > search.schedules * 8)
        }
        say(result)
    }

    @Test("of three thousand schedules in which the list of servers changes none breaks an invariant")
    func moving() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            let search = try Search.run(schedules: 3000, isMoving: true)
            print("\(search.schedules) schedules, \(search.calls) calls, \(search.steps) steps")
            #expect(search.failure == nil, "\(search.failure ?? "")")
            #expect(search.calls > search.schedules * 8)
        }
        say(result)
    }

    // Only debug builds have mistakes to plant.
    #if DEBUG
    @Test("some schedules notice a fill that does not look for its token")
    func noticesFillWithoutToken() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.fillWithoutToken)
        }
        say(result)
    }

    @Test("some schedules notice a caller that joins a load of other stamps")
    func noticesJoinWhateverTheStamps() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.joinWhateverTheStamps)
        }
        say(result)
    }

    @Test("some schedules notice a value that is served under other stamps")
    func noticesServeWhateverTheStamps() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.serveWhateverTheStamps)
        }
        say(result)
    }

    @Test("some schedules notice that a lease under other stamps is taken over at first sight")
    func noticesNoSecondLook() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.noSecondLook)
        }
        say(result)
    }

    @Test("some schedules notice that a lease is taken over while it runs")
    func noticesImpatience() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.impatience)
        }
        say(result)
    }

    @Test("some schedules notice that the lease of a load is taken over while its fill is under way")
    func noticesTakeOverLanded() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.takeOverLanded)
        }
        say(result)
    }

    @Test("some schedules notice that a refresh takes over a lease that runs")
    func noticesRefreshTakesOver() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.refreshTakesOver)
        }
        say(result)
    }

    @Test("some schedules notice that a lease is prolonged whatever stands there")
    func noticesProlongWhateverStands() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.prolongWhateverStands)
        }
        say(result)
    }

    @Test("some schedules notice that the invalidation of a group spares a server")
    func noticesSpareServer() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.spareServer)
        }
        say(result)
    }

    @Test("some schedules notice a lease that forgets the window of what it replaces")
    func noticesForgetWindow() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.forgetWindow)
        }
        say(result)
    }

    @Test("some schedules notice that expiring a key spares a load that is under way")
    func noticesSpareExpiredPending() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.spareExpiredPending)
        }
        say(result)
    }

    @Test("some schedules notice that expiring a group writes over another stamp")
    func noticesReviveStamp() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.reviveStamp)
        }
        say(result)
    }

    @Test("some schedules notice that a version keeps stamps of its own")
    func noticesStampsOfVersion() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.stampsOfVersion)
        }
        say(result)
    }

    @Test("some schedules notice that the other version keeps its values")
    func noticesSpareVersion() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.spareVersion)
        }
        say(result)
    }

    @Test("some schedules notice stamps of another server than the value's")
    func noticesStampsOfAnotherServer() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.stampsOfAnotherServer)
        }
        say(result)
    }

    @Test("some schedules notice a claim under old stamps")
    func noticesClaimUnderOldStamps() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.claimUnderOldStamps)
        }
        say(result)
    }

    @Test("some schedules notice a lease that is confirmed by whatever stands there")
    func noticesConfirmWhateverStands() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.confirmWhateverStands)
        }
        say(result)
    }

    @Test("some schedules notice a CAS id that is used over a restart")
    func noticesToldOverRestart() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.toldOverRestart)
        }
        say(result)
    }

    @Test("some schedules notice a value of any list of servers")
    func noticesAcceptAnyList() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.acceptAnyList, isMoving: true)
        }
        say(result)
    }

    @Test("some schedules notice that an invalidation spares the server of another list")
    func noticesSpareOtherList() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.spareOtherList, isMoving: true)
        }
        say(result)
    }

    @Test("some schedules notice that a lease is prolonged while the fill is under way")
    func noticesProlongDuringFill() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.prolongDuringFill)
        }
        say(result)
    }

    @Test("some schedules notice a value of old stamps that is served in place of an error")
    func noticesKeepWhateverTheStamps() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.keepWhateverTheStamps)
        }
        say(result)
    }

    @Test("some schedules notice a load too many")
    func noticesSpareGate() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.spareGate)
        }
        say(result)
    }

    @Test("some schedules notice a held value that was invalidated here")
    func noticesHoldInvalidated() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.holdInvalidated)
        }
        say(result)
    }

    @Test("some schedules notice that what could not be invalidated is served here")
    func noticesForgetPending() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.forgetPending)
        }
        say(result)
    }

    @Test("some schedules notice that what was read before a repeated invalidation is served after it")
    func noticesTrustPendingRead() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.trustPendingRead, isMoving: true)
        }
        say(result)
    }

    @Test("some schedules notice stamps of returned groups that are read when the load has ended")
    func noticesStampsOfReturnedGroupsAtFill() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try expectNoticed(.stampsOfReturnedGroupsAtFill)
        }
        say(result)
    }
    #endif
}

/// Passes on how much the process of a test has covered.
private func say(_ result: ExitTest.Result?) {
    print(String(decoding: result?.standardOutputContent ?? [], as: UTF8.self), terminator: "")
}

#if DEBUG
private func expectNoticed(_ mistake: PlantedMistake, isMoving: Bool = false) throws {
    PlantedMistake.plant(mistake)
    let search = try Search.run(schedules: 20_000, isMoving: isMoving)
    print("\(mistake): \(search.failure == nil ? "not noticed" : "noticed") after \(search.schedules) schedules")
    #expect(search.failure != nil)
}
#endif

/// A search for a schedule that breaks an invariant.
struct Search {
    private(set) var schedules = 0
    private(set) var calls = 0
    private(set) var steps = 0
    /// The shortest schedule that was found to fail, in words.
    private(set) var failure: String?

    static func run(schedules: Int, isMoving: Bool = false) throws -> Search {
        let executor = try DeterministicExecutor()
        defer { executor.remove() }
        var search = Search()
        for seed in 1...UInt64(schedules) {
            let outcome = Schedule.run(Choices(seed: seed), isMoving: isMoving, on: executor)
            search.schedules += 1
            search.calls += outcome.calls
            search.steps += outcome.steps
            if !outcome.violations.isEmpty {
                let shortest = shrink(outcome, isMoving: isMoving, on: executor)
                search.failure =
                    "seed \(seed), schedule \(seed):\n\(shortest.log.joined(separator: "\n"))\n"
                    + shortest.violations.joined(separator: "\n")
                return search
            }
        }
        return search
    }

    /// Leaves decisions out, or makes them dull, as long as it still fails.
    private static func shrink(
        _ outcome: Schedule.Outcome, isMoving: Bool, on executor: DeterministicExecutor
    ) -> Schedule.Outcome {
        var best = outcome
        var size = max(1, best.choices.count / 2)
        var tries = 0
        while size >= 1, tries < 400 {
            var start = 0
            var hasImproved = false
            while start < best.choices.count, tries < 400 {
                tries += 1
                var choices = best.choices
                choices.removeSubrange(start..<min(start + size, choices.count))
                let shorter = Schedule.run(Choices(recording: choices), isMoving: isMoving, on: executor)
                if !shorter.violations.isEmpty, shorter.log.count < best.log.count {
                    best = shorter
                    hasImproved = true
                } else {
                    start += size
                }
            }
            if !hasImproved { size /= 2 }
        }
        return best
    }
}
