import Foundation

/// A file of users for memcached's `-Y`, as long as this exists: someone, whose password is secret.
final class AuthenticationFile {
    let path = "/tmp/cache-utils-\(UUID().uuidString.prefix(8)).auth"

    init() throws { try "someone:secret\n".write(toFile: path, atomically: true, encoding: .utf8) }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
