#if os(Linux)
import Foundation
import TestSupport
import Testing

@Suite("Caches and stores that were dropped", .timeLimit(.minutes(5)))
struct LeftoversTests {
    @Test("leave no thread, no connection and no memory behind, ten thousand of each")
    func nothing() async throws {
        // In a process of its own: the other tests have threads and connections, too.
        let process = try Helpers.start("soak", ["leftovers", "10000"])
        var status: Int32 = 0
        try await eventually { waitpid(process, &status, WNOHANG) != 0 }
        #expect(status == 0)
    }
}
#endif
