import CLibMemcached
import MemcachedProcess
import MintCache
import TestSupport
import Testing

@testable import Memcached

/// What servers do with writes that they refuse and are not to answer: the client reads the next thing on the same
/// connection, so nothing may be said that it would take for the answer to that.
@Suite("A refused write without a reply", .timeLimit(.minutes(5)))
struct RefusedWriteTests {
    enum Refusal: CaseIterable {
        case addOfTakenKey, swapOfAnother, swapOfNothing
        case addOverLimit, swapOverLimit, setOverLimit
        case addToFull, swapToFull, setToFull

        var options: [String] {
            switch self {
            case .addOfTakenKey, .swapOfAnother, .swapOfNothing: []
            case .addOverLimit, .swapOverLimit, .setOverLimit: ["-I", "2k", "-o", "slab_chunk_max=1024"]
            case .addToFull, .swapToFull, .setToFull: ["-M", "-m", "2"]
            }
        }
    }

    private let known = StoreKey(trusted: Array("known".utf8))
    private let taken = StoreKey(trusted: Array("taken".utf8))
    private let absent = StoreKey(trusted: Array("absent".utf8))

    /// A connection on which writes are not acknowledged.
    private func connection(to address: String) throws -> Handle {
        let server = try MemcachedServer(address)
        // Not `try`: Swift 6.3.1 crashes on it in optimized code.
        let handle = try #require(
            try? Handle(
                server, host: "127.0.0.1", pollTimeout: 10_000, connectTimeout: 10_000, largestValue: 1024 * 1024))
        handle.setAcknowledged(false)
        return handle
    }

    /// What stands under some keys, and how the answer ended.
    private func read(_ keys: [StoreKey], on handle: Handle) -> (items: [StoreKey: [UInt8]], code: ReturnCode) {
        var batch = KeyBatch()
        for key in keys { _ = batch.index(of: key) }
        var items: [StoreKey: [UInt8]] = [:]
        var code = handle.ask(for: 0..<keys.count, of: batch)
        while code == .success {
            let (hasItem, end) = handle.fetch()
            code = end
            guard hasItem else { break }
            let result = handle.result
            let key = UnsafeRawBufferPointer(
                start: memcached_result_key_value(result), count: memcached_result_key_length(result))
            let value = UnsafeRawBufferPointer(
                start: memcached_result_value(result), count: memcached_result_length(result))
            items[StoreKey(trusted: Array(key))] = Array(value)
        }
        return (items, code)
    }

    @Test("leaves the connection in step", arguments: Refusal.allCases)
    func inStep(refusal: Refusal) async throws {
        let server = try MemcachedProcess(options: refusal.options)
        defer { server.stop() }
        let handle = try connection(to: server.address)
        let size: Int
        switch refusal {
        case .addOverLimit, .swapOverLimit, .setOverLimit: size = 3000
        case .addToFull, .swapToFull, .setToFull: size = 4000
        default: size = 1
        }
        for key in [known, taken] {
            #expect(handle.perform(.set(key, [UInt8](repeating: 1, count: min(size, 1000)), expiry: 0)) == .success)
        }
        let before = [UInt8](repeating: 1, count: min(size, 1000))
        let id = try #require(StoreItem.CAS(rawValue: refusal == .swapOfAnother ? 4711 : idOfTaken(on: handle)))
        if refusal.options.first == "-M" { fill(handle, size: size) }
        let value = [UInt8](repeating: 2, count: size)
        for _ in 1...20 {
            switch refusal {
            case .addOfTakenKey: #expect(handle.perform(.add(taken, value, expiry: 0)) == .success)
            case .addOverLimit, .addToFull: #expect(handle.perform(.add(absent, value, expiry: 0)) == .success)
            case .swapOfNothing:
                #expect(handle.perform(.compareAndSwap(absent, value, cas: id, expiry: 0)) == .success)
            case .swapOfAnother, .swapOverLimit, .swapToFull:
                #expect(handle.perform(.compareAndSwap(taken, value, cas: id, expiry: 0)) == .success)
            case .setOverLimit, .setToFull: #expect(handle.perform(.set(taken, value, expiry: 0)) == .success)
            }
            let (items, code) = read([taken, absent, known], on: handle)
            #expect(code == .success)
            #expect(items[known] == before && items[absent] == nil)
            // A `set` that is refused takes what stood there along.
            #expect(items[taken] == ([.setOverLimit, .setToFull].contains(refusal) ? nil : before))
        }
    }

    private func idOfTaken(on handle: Handle) -> UInt64 {
        var batch = KeyBatch()
        _ = batch.index(of: taken)
        guard handle.ask(for: 0..<1, of: batch) == .success, handle.fetch().hasItem else { return 0 }
        defer { _ = handle.fetch() }
        return memcached_result_cas(handle.result)
    }

    /// Fills a server that evicts nothing.
    private func fill(_ handle: Handle, size: Int) {
        for number in 0..<2000 {
            let key = StoreKey(trusted: Array("fill:\(number)".utf8))
            _ = handle.perform(.add(key, [UInt8](repeating: 1, count: size), expiry: 0))
            if number.isMultiple(of: 50), read([key], on: handle).items.isEmpty { return }
        }
    }

    @Test("for want of authentication is told with the next read, which ends the connection")
    func unauthenticated() async throws {
        let file = try AuthenticationFile()
        let server = try MemcachedProcess(options: ["-Y", file.path])
        defer { server.stop() }
        let handle = try connection(to: server.address)
        _ = handle.perform(.add(taken, [1], expiry: 0))
        let (items, code) = read([taken, known], on: handle)
        #expect(items.isEmpty && code != .success)
    }

    @Test("whose server behind a proxy is dead leaves the connection in step for the other servers")
    func deadBackend() async throws {
        let proxy = try ProxyProcess(serverCount: 2, options: ["server_retry_timeout: 60000"])
        defer { proxy.stop() }
        let handle = try connection(to: proxy.address)
        let keys = (0..<60).map { StoreKey(trusted: Array("key:\($0)".utf8)) }
        for key in keys { #expect(handle.perform(.set(key, [1], expiry: 0)) == .success) }
        // The proxy has passed them all on when it has read them.
        #expect(read(keys, on: handle).items.count == keys.count)
        let direct = try connection(to: proxy.servers[1].address)
        let there = Set(read(keys, on: direct).items.keys)
        try #require(!there.isEmpty && there.count < keys.count)
        proxy.servers[0].stop()
        for _ in 1...5 {
            for key in keys where !there.contains(key) {
                #expect(handle.perform(.add(key, [2], expiry: 0)) == .success)
            }
            let (items, code) = read(Array(there), on: handle)
            #expect(code == .success)
            #expect(Set(items.keys) == there && items.values.allSatisfy { $0 == [1] })
        }
    }
}
