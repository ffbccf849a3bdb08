import Memcached
import MemcachedProcess
import MintCache
import TestSupport
import Testing

@Suite("A value over the largest that is read", .timeLimit(.minutes(5)))
struct ValueSizeTests {
    private let large = StoreKey(trusted: Array("large".utf8))
    private let small = StoreKey(trusted: Array("small".utf8))

    @Test("is an error that says what to do when it is read or written, and those beside it are read")
    func large() async throws {
        let server = try MemcachedProcess()
        defer { server.stop() }
        var configuration = testConfiguration
        configuration.maximumValue = 1024
        let store = try MemcachedStore(servers: [server.address], configuration: configuration)
        let error = await #expect(throws: CacheError.self) {
            try await store.set(large, value: Array(repeating: 1, count: 500_000), expiry: nil)
        }
        #expect(error?.code == .valueTooLarge && error?.message.contains("maximumValue") == true)
        // Another process may allow more.
        let writer = try MemcachedStore(servers: [server.address], configuration: testConfiguration)
        try await writer.set(large, value: Array(repeating: 1, count: 500_000), expiry: nil)
        await writer.shutdown()
        try await store.set(small, value: Array(repeating: 2, count: 1024), expiry: nil)
        async let both = (try? store.get(large), try? store.get(small))
        let (_, beside) = await both
        #expect(beside?.value.count == 1024)
        let readError = await #expect(throws: CacheError.self) { try await store.get(large) }
        #expect(readError?.message.contains("maximumValue") == true && readError?.code == .storeFailure)
        #expect(try await store.get(small)?.value.count == 1024)
        await store.shutdown()
    }

    /// A library that made room for it would wait for the rest.
    @Test(
        "is refused when it is claimed, whatever it claims and whatever follows",
        arguments: [70_000_000, 1 << 40, .max])
    func claimed(size: Int) async throws {
        let server = try MemcachedProcess()
        defer { server.stop() }
        let relay = try Relay(toPort: server.port) { _, bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            guard text.hasPrefix("VALUE large") else { return bytes }
            return Array(text.replacing(" 5 ", with: " \(size) ").utf8)
        }
        defer { relay.stop() }
        let store = try MemcachedStore(servers: [relay.address], configuration: testConfiguration)
        try await store.set(large, value: Array("hello".utf8), expiry: nil)
        let began = ContinuousClock.now
        let error = await #expect(throws: CacheError.self) { try await store.get(large) }
        #expect(error?.code == .storeFailure, "\(error?.message ?? "")")
        // The time-out is a minute.
        #expect(ContinuousClock.now - began < .seconds(30))
        #expect(try await store.get(small) == nil)
        await store.shutdown()
    }
}
