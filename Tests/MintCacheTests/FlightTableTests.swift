import TestSupport
import Testing

@testable import MintCache

@Suite("The flights of a process")
struct FlightTableTests {
    private let table = FlightTable()

    private func flight(_ number: Int, _ key: String? = nil) throws -> Flight<Int> {
        let token = LoadToken(rawValue: UInt64(number))
        let lease = Lease(token: token, until: WallTime(microseconds: 1))
        return Flight(
            Acquisition(
                token: token, stamps: [], over: nil, envelope: .pending(lease, stamps: []), expiry: .seconds(1)),
            CacheEntry(key: try StoreKey(key ?? "k\(number)"), options: .init(policy: CachePolicy())),
            in: StorePart(id: 0, store: InMemoryStore()), frame: LoadFrame(of: table),
            deadlines: Deadlines(clock: ManualClock()))
    }

    private func state(_ flight: Flight<Int>) -> String {
        switch table.state(of: flight.acquisition.token) {
        case .unknown: "unknown"
        case .loading: "loading"
        case .landed: "landed"
        case .ended: "ended"
        case .orphaned: "orphaned"
        }
    }

    @Test("are loading, then landed, then ended, and of those that ended the last ones are remembered")
    func ends() throws {
        let flights = try (0..<FlightTable.rememberedEnds + 2).map { try flight($0) }
        for flight in flights { #expect(table.enter(flight) == nil) }
        #expect(flights.allSatisfy { state($0) == "loading" })
        for flight in flights { table.landed(flight) }
        #expect(flights.allSatisfy { state($0) == "landed" })
        for flight in flights { table.end(flight) }
        #expect(flights.map { state($0) == "ended" } == flights.indices.map { $0 > 1 })
        #expect(state(flights[0]) == "unknown")
    }

    @Test("that left a lease behind are remembered, however many, until that is gone")
    func orphans() throws {
        let flights = try (0..<1000).map { try flight($0) }
        for flight in flights {
            _ = table.enter(flight)
            table.orphan(flight)
        }
        #expect(flights.allSatisfy { state($0) == "orphaned" })
        table.forget(flights[0].acquisition.token)
        #expect(state(flights[0]) == "ended")
    }

    @Test(
        "that never took off are not found, and those whose lease is over keep nobody waiting, whatever comes of them")
    func lost() throws {
        let (lost, late) = (try flight(1), try flight(2))
        for flight in [lost, late] { _ = table.enter(flight) }
        table.leave(lost)
        #expect(state(lost) == "unknown")
        table.landed(lost)
        #expect(state(lost) == "unknown")
        table.orphan(late)
        table.landed(late)
        #expect(state(late) == "orphaned")
        table.end(late)
        #expect(state(late) == "ended")
    }

    @Test("whose lease is being taken serve all who want it")
    func starting() throws {
        let (first, second) = (try flight(1, "k"), try flight(2, "k"))
        #expect(table.enter(first) == nil)
        #expect(table.enter(second)?.acquisition.token == first.acquisition.token)
        table.started(first)
        #expect(table.enter(second) == nil)
    }
}
