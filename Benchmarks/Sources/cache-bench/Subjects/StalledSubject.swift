import CacheUtils
import Foundation
import Memcached
import Synchronization

/// Calls whose loader takes five milliseconds, while the server hangs and the store has noticed it; or, without a
/// store, the loader alone.
struct StalledSubject: Subject {
    let name: String
    let callers = 64

    private let stalled: Stalled?

    /// A server that accepts connections and never answers, with a store on it.
    private final class Stalled: Sendable {
        let store: MemcachedStore
        let function: CachedFunction<Int, Int>
        private let listener: Int32
        private let numbers = Atomic(0)

        init() throws {
            let (listener, port) = try Self.listen()
            self.listener = listener
            store = try MemcachedStore(servers: ["127.0.0.1:\(port)"])
            function = Cache(store: store, namespace: "bench", troubleLevel: nil)
                .cached("stalled", ttl: .seconds(60)) { (number: Int) in try await load(number) }
        }

        deinit { close(listener) }

        func next() -> Int { numbers.add(1, ordering: .relaxed).oldValue }

        /// A loopback socket whose connections nobody takes.
        private static func listen() throws -> (descriptor: Int32, port: UInt16) {
            #if canImport(Darwin)
            let descriptor = socket(AF_INET, SOCK_STREAM, 0)
            #else
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            #endif
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isListening = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                    bind(descriptor, pointer, size) == 0 && Foundation.listen(descriptor, 16) == 0
                        && getsockname(descriptor, pointer, &size) == 0
                }
            }
            guard isListening else { throw BenchFailure("no loopback port to listen on") }
            return (descriptor, UInt16(bigEndian: address.sin_port))
        }
    }

    /// While the server hangs.
    init(stalled name: String) throws {
        self.name = name
        stalled = try Stalled()
    }

    /// The loader alone.
    init(alone name: String) {
        self.name = name
        stalled = nil
    }

    func run(seconds: Double) async throws -> Sample {
        guard let stalled else {
            return try await TaskSubject(name: name, callers: callers) { _, meter in
                while let round = meter.next() { _ = try await load(round) }
            }.run(seconds: seconds)
        }
        while stalled.store.status[0].isAvailable { _ = try? await stalled.function(stalled.next()) }
        return try await TaskSubject(name: name, callers: callers) { _, meter in
            while meter.next() != nil { _ = try await stalled.function(stalled.next()) }
        }.run(seconds: seconds)
    }
}

private func load(_ number: Int) async throws -> Int {
    try await Task.sleep(for: .milliseconds(5))
    return number
}
