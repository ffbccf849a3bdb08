import CacheUtils
import Foundation
import Memcached
import MemcachedProcess

/// Makes caches and stores, uses and drops them, and says what they leave behind.
struct Leftovers {
    let count: Int

    /// What was there after a tenth of them, and after all.
    func run() async throws -> (before: Resources, after: Resources)? {
        let server = try MemcachedProcess()
        defer { server.stop() }
        try await makeAndDrop(count / 10, server.address)
        guard let before = await settled() else { return nil }
        try await makeAndDrop(count, server.address)
        guard let after = await settled(atMost: before) else { return nil }
        return (before, after)
    }

    private func makeAndDrop(_ count: Int, _ address: String) async throws {
        // What `Task.sleep` leaves behind when it is cancelled stays for as long as it would have slept: not for long here.
        let policy = CachePolicy(leaseFor: .seconds(1), longestLease: .seconds(1))
        for number in 0..<count {
            let store = try MemcachedStore(servers: [address])
            let cache = Cache(store: store, namespace: "leftovers", warmGroupCount: 1, policy: policy)
            let row = cache.cached("row", ttl: .seconds(60), groups: ["rows"]) { (number: Int) in number }
            let local = Cache(store: InMemoryStore(), namespace: "leftovers", policy: policy)
                .cached("row", ttl: .seconds(60)) { (number: Int) in number }
            _ = try await (row(number % 100), local(number))
            // On a machine that is busy it may not arrive.
            if number.isMultiple(of: 3) { try? await cache.invalidate(group: "rows") }
            // Who forgets to shut a store down drops it all the same.
            if number.isMultiple(of: 2) { await store.shutdown() }
        }
    }

    /// What there is when threads and connections that are ending have ended.
    private func settled(atMost least: Resources? = nil) async -> Resources? {
        try? await Task.sleep(for: .seconds(4))
        var now = Resources.now
        for _ in 0..<200 {
            let before = now
            try? await Task.sleep(for: .milliseconds(50))
            now = Resources.now
            guard let now, let before else { return nil }
            let isQuiet = now.threads == before.threads && now.openFiles == before.openFiles
            if isQuiet, least.map({ now.threads <= $0.threads && now.openFiles <= $0.openFiles }) ?? true { return now }
        }
        return now
    }
}
