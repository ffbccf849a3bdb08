import Testing

@testable import MintCache

@Suite("The flights of a process")
struct FlightTableTests {
    private func flight(_ number: Int) throws -> Flight<Int> {
        let token = LoadToken(rawValue: UInt64(number))
        let lease = Lease(token: token, until: WallTime(microseconds: 1))
        return Flight(
            key: try StoreKey("k\(number)"),
            acquisition: Acquisition(
                token: token, stamps: [], over: nil, envelope: .pending(lease, stamps: []), expiry: .seconds(1)))
    }

    @Test("are found while they are under way, and of those that ended the last ones are remembered")
    func ends() throws {
        let table = FlightTable()
        let flights = try (0..<FlightTable.rememberedEnds + 2).map { try flight($0) }
        for flight in flights { #expect(table.enter(flight) == nil) }
        #expect(flights.allSatisfy { table.flight($0.acquisition.token) != nil })
        for flight in flights.dropLast() { table.end(flight) }
        let last = flights[FlightTable.rememberedEnds + 1]
        #expect(!table.hasEnded(last.acquisition.token))
        table.end(last)
        #expect(flights.map { table.hasEnded($0.acquisition.token) } == flights.indices.map { $0 > 1 })
        #expect(flights.allSatisfy { table.flight($0.acquisition.token) == nil })
    }

    @Test("that never took off are not remembered")
    func lost() throws {
        let table = FlightTable()
        let flight = try flight(1)
        _ = table.enter(flight)
        table.leave(flight)
        #expect(table.flight(flight.acquisition.token) == nil && !table.hasEnded(flight.acquisition.token))
    }
}
