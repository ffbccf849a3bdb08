import Testing

@testable import Memcached

@Suite("A worker's pace")
struct PaceTests {
    @Test("lets quick tasks go on, and leaves tasks alone for twenty times as long as slow ones took")
    func pauses() {
        var pace = Pace()
        #expect(pace.allowsNext(at: 0))
        pace.note(slow: 1000, at: 5000)
        #expect(!pace.allowsNext(at: 5000))
        #expect(!pace.allowsNext(at: 24_999))
        #expect(pace.allowsNext(at: 25_000))
        #expect(pace.allowsNext(at: 1_000_000))
    }
}
