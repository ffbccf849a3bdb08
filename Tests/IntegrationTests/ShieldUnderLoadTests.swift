import Foundation
import MemcachedProcess
import TestSupport
import Testing

/// Eight processes with 64 tasks each, whose store is killed, and whose database gets slow, dies and comes back.
@Suite("The load shield, under load,", .timeLimit(.minutes(5)))
struct ShieldUnderLoadTests {
    @Test("never has more loads run than may, serves who can be served, and lets no second wave through")
    func outage() async throws {
        let server = try MemcachedProcess()
        defer { server.stop() }
        let path = FileManager.default.temporaryDirectory.appending(path: "shield-\(UUID().uuidString)").path
        defer { unlink(path) }
        let board = try ShieldBoard(path: path)
        let clients = try (0..<ShieldBoard.processes).map {
            try Helpers.start("ShieldClient", [server.address, path, "\($0)"])
        }
        defer {
            board.mode = .over
            for client in clients { waitpid(client, nil, 0) }
        }
        /// Waits for so many calls more.
        func calls(_ count: Int) async throws {
            let before = board.calls
            try await eventually { board.calls >= before + count }
        }
        let (keys, processes) = (ShieldBoard.keys, ShieldBoard.processes)
        try await calls(10_000)
        #expect(board.sum(.loads) <= keys * processes)

        server.stop()
        try await calls(3_000)
        board.mode = .slow
        try await calls(2_000)
        #expect([.dead, .refused, .wrong].map(board.sum) == [0, 0, 0], "the database answers, so all are served")
        board.mode = .dead
        try await calls(3_000)
        #expect(board.sum(.dead) > 0)
        board.mode = .slow
        try await calls(1_000)
        try server.start()
        board.mode = .quick
        // All is cached again, and then nothing is loaded any more.
        let loads = board.sum(.loads)
        while true {
            let before = board.sum(.loads)
            try await calls(3_000)
            if board.sum(.loads) == before { break }
        }
        // While the server was away for them, those who waited loaded; from then on each key is loaded once.
        #expect(board.sum(.loads) - loads <= 10 * keys * processes)
        #expect(board.counts(.mostRunning).allSatisfy { $0 > 0 && $0 <= ShieldBoard.mostLoads })
        #expect(board.sum(.wrong) == 0)
        #expect(board.sum(.refused) == 0, "there was room for all to wait")
    }
}
