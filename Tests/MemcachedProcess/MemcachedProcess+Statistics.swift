#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What a server says of itself, on a connection of its own.
extension MemcachedProcess {
    /// How many connections it has besides the one that asks, those that it listens on included.
    package func connectionCount() throws -> Int {
        guard let count = try statistics()["curr_connections"].flatMap({ Int($0) }) else {
            throw StartFailure(description: "memcached does not say how many connections it has")
        }
        return count - 1
    }

    private func statistics() throws -> [Substring: Substring] {
        guard let port = address.split(separator: ":").last.flatMap({ UInt16($0) }),
            let connection = Self.connect(toPort: port)
        else { throw StartFailure(description: "nothing listens at \(address)") }
        defer { close(connection) }
        let question = Array("stats\r\n".utf8)
        guard write(connection, question, question.count) == question.count else {
            throw StartFailure(description: "memcached at \(address) takes no question")
        }
        var answer = ""
        var bytes = [UInt8](repeating: 0, count: 8192)
        while !answer.hasSuffix("END\r\n") {
            let count = read(connection, &bytes, bytes.count)
            guard count > 0 else { throw StartFailure(description: "memcached at \(address) does not answer") }
            answer += String(decoding: bytes[..<count], as: UTF8.self)
        }
        let lines = answer.split(whereSeparator: \.isNewline).map { $0.split(separator: " ") }
        return Dictionary(lines.filter { $0.count == 3 }.map { ($0[1], $0[2]) }) { $1 }
    }
}
