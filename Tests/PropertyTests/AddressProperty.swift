@testable import Memcached
import MintCache

extension Property {
    /// An address is one or is refused with an error that names it; what is one is the same when its description is read.
    static let address = Property(name: "address") { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        do throws(any Error) {
            let server = try MemcachedServer(text)
            guard let again = try? MemcachedServer(server.description) else { return "\(server) is none" }
            return again == server ? nil : "\(server) is \(again)"
        } catch {
            guard let error = error as? CacheError, error.code == .invalidServer else { return "the error is \(error)" }
            return nil
        }
    }
}
