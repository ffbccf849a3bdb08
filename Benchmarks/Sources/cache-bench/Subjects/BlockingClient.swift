import CLibMemcached
import Foundation

/// libmemcached as its C users call it: a handle for each thread, and every call blocks.
struct BlockingClient: Subject {
    var name: String
    /// Threads.
    var callers: Int
    var server: ServerAddress
    /// Keys for each call; 1 is `memcached_get`, more is `memcached_mget` and fetching all of them.
    var batch: Int
    var keys: [String]

    func run(seconds: Double) async throws -> Sample {
        try await sample(seconds: seconds) { end in
            try await withThrowingTaskGroup(of: Meter.self) { group in
                for thread in 0..<callers {
                    group.addTask {
                        try await withCheckedThrowingContinuation { continuation in
                            Thread.detachNewThread {
                                continuation.resume(with: Result { try loop(thread, until: end) })
                            }
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }
    }

    private func loop(_ thread: Int, until end: UInt64) throws -> Meter {
        let handle = try server.makeHandle()
        defer { memcached_free(handle) }
        let pointers = keys.map { UnsafePointer(strdup($0)) }
        defer { for pointer in pointers { free(UnsafeMutablePointer(mutating: pointer)) } }
        let lengths = keys.map(\.utf8.count)
        var meter = Meter(until: end, operationsEach: batch)
        var next = thread * 997 % keys.count
        if batch == 1 {
            while meter.next() != nil {
                var (length, flags, code) = (0, UInt32(0), MEMCACHED_SUCCESS)
                let value = memcached_get(handle, pointers[next], lengths[next], &length, &flags, &code)
                guard let value else { throw BenchFailure("memcached_get: \(code.rawValue)") }
                free(value)
                next = (next + 1) % keys.count
            }
        } else {
            let result = UnsafeMutablePointer<memcached_result_st>.allocate(capacity: 1)
            memcached_result_create(handle, result)
            defer {
                memcached_result_free(result)
                result.deallocate()
            }
            while meter.next() != nil {
                if next + batch > keys.count { next = 0 }
                let sent = pointers.withUnsafeBufferPointer { pointers in
                    lengths.withUnsafeBufferPointer { lengths in
                        memcached_mget(
                            handle, pointers.baseAddress.map { $0 + next }, lengths.baseAddress.map { $0 + next }, batch
                        )
                    }
                }
                guard sent == MEMCACHED_SUCCESS else { throw BenchFailure("memcached_mget: \(sent.rawValue)") }
                var found = 0
                var code = MEMCACHED_SUCCESS
                while memcached_fetch_result(handle, result, &code) != nil { found += 1 }
                guard found == batch else { throw BenchFailure("\(found) of \(batch) values came") }
                next += batch
            }
        }
        return meter
    }
}

/// A server of the benchmark, by address.
struct ServerAddress: Sendable {
    var text: String

    func makeHandle() throws -> UnsafeMutablePointer<memcached_st> {
        guard let handle = memcached_create(nil) else { throw BenchFailure("no memcached_st") }
        memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1)
        memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1)
        if text.hasPrefix("/") {
            memcached_server_add_unix_socket(handle, text)
        } else {
            let parts = text.split(separator: ":")
            memcached_server_add(handle, String(parts[0]), in_port_t(parts[1]) ?? 11211)
        }
        return handle
    }
}
