import CLibMemcached
import Foundation
import Synchronization

/// What a miss needs of the server, by the C library in its best loop: in batches of 100, `add` of a lease without a
/// reply, one multi-get that tells the CAS ids, `cas` of the value without a reply, and one that tells whether it
/// stands.
struct BlockingMisses: Subject {
    let name = "libmemcached-miss"
    let callers = 1
    let server: ServerAddress

    private static let batch = 100
    /// As large as what the cache writes for a lease, and for a text of 100 bytes.
    private static let sizes = (lease: 36, value: 140)
    private static let next = Atomic(0)

    func run(seconds: Double) async throws -> Sample {
        try await sample(seconds: seconds) { end in
            try await withCheckedThrowingContinuation { continuation in
                Thread.detachNewThread { continuation.resume(with: Result { [try loop(until: end)] }) }
            }
        }
    }

    private func loop(until end: UInt64) throws -> Meter {
        let handle = try server.makeHandle()
        defer { memcached_free(handle) }
        memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_NOREPLY, 1)
        let result = UnsafeMutablePointer<memcached_result_st>.allocate(capacity: 1)
        memcached_result_create(handle, result)
        defer {
            memcached_result_free(result)
            result.deallocate()
        }
        let lease = [CChar](repeating: 0x6C, count: Self.sizes.lease)
        let value = [CChar](repeating: 0x76, count: Self.sizes.value)
        var meter = Meter(until: end, operationsEach: Self.batch)
        while meter.next() != nil {
            let first = Self.next.add(Self.batch, ordering: .relaxed).oldValue
            let keys = (0..<Self.batch).map { UnsafePointer(strdup("bench:miss:\(first + $0)")) }
            defer { for key in keys { free(UnsafeMutablePointer(mutating: key)) } }
            let lengths = keys.map { $0.map { strlen($0) } ?? 0 }
            for (key, length) in zip(keys, lengths) {
                try check(memcached_add(handle, key, length, lease, lease.count, 60, 0))
            }
            let ids = try read(handle, result, keys, lengths)
            for (index, id) in ids.enumerated() {
                try check(memcached_cas(handle, keys[index], lengths[index], value, value.count, 60, 0, id))
            }
            _ = try read(handle, result, keys, lengths)
        }
        return meter
    }

    /// The CAS ids of all keys, in their order.
    private func read(
        _ handle: UnsafeMutablePointer<memcached_st>, _ result: UnsafeMutablePointer<memcached_result_st>,
        _ keys: [UnsafePointer<CChar>?], _ lengths: [Int]
    ) throws -> [UInt64] {
        try check(memcached_mget(handle, keys, lengths, keys.count))
        var ids: [UInt64] = []
        var code = MEMCACHED_SUCCESS
        while memcached_fetch_result(handle, result, &code) != nil { ids.append(memcached_result_cas(result)) }
        guard ids.count == keys.count else {
            throw BenchFailure("\(ids.count) of \(keys.count) leases came: \(code.rawValue)")
        }
        return ids
    }

    private func check(_ code: memcached_return_t) throws {
        guard code == MEMCACHED_SUCCESS else { throw BenchFailure("libmemcached: \(code.rawValue)") }
    }
}
