import Foundation
import MemcachedProcess
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A server on a loopback port that answers each line with what a test says, to say what a real one says rarely.
final class FakeMemcached: Sendable {
    /// What to do about a line.
    enum Answer: Sendable {
        case say(String)
        /// Say something and close the connection.
        case hangUp(String)
        case silence

        static func say(lines: [String]) -> Answer { .say(lines.map { $0 + "\r\n" }.joined()) }
    }

    let address: String
    private let listener: Int32
    private let lines = Mutex<[String]>([])
    private let lastCAS = Atomic<UInt64>(1000)

    /// The lines that were received, of all connections.
    var received: [String] { lines.withLock { $0 } }

    /// Starts to listen.
    ///
    /// - Parameters:
    ///   - isConnectable: whether the first commands of a connection are answered as memcached does, and are no lines
    ///     that the test is given.
    ///   - answer: is given the number of the connection, from 0, and a line without its end.
    init(isConnectable: Bool = true, _ answer: @escaping @Sendable (Int, String) -> Answer) throws {
        let (descriptor, port) = try MemcachedProcess.listener()
        address = "127.0.0.1:\(port)"
        listener = descriptor
        detach { [self] in
            var number = 0
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                let current = number
                number += 1
                detach { [self] in serve(connection, isConnectable) { answer(current, $0) } }
            }
        }
    }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func serve(_ connection: Int32, _ isConnectable: Bool, _ answer: (String) -> Answer) {
        var isValueNext = false
        defer { close(connection) }
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while recv(connection, &byte, 1, 0) == 1 {
            guard byte == UInt8(ascii: "\n") else {
                if byte != UInt8(ascii: "\r") { line.append(byte) }
                continue
            }
            let text = String(decoding: line, as: UTF8.self)
            line = []
            if isConnectable, isValueNext || text == "version" || text == "stats" || text.contains(" cache-utils:") {
                isValueNext = text.hasPrefix("add ")
                say(welcome(text), connection)
                continue
            }
            lines.withLock { $0.append(text) }
            switch answer(text) {
            case .say(let reply): say(reply, connection)
            case .hangUp(let reply): return say(reply, connection)
            case .silence: break
            }
        }
    }

    /// What memcached says to a client that connects and makes its check.
    private func welcome(_ line: String) -> String {
        let words = line.split(separator: " ")
        switch words.first {
        case "version": return "VERSION 1.6.18\r\n"
        case "stats": return "STAT pid 1\r\nEND\r\n"
        case "add": return ""
        case "gets":
            let cas = lastCAS.add(1, ordering: .relaxed).newValue
            return "VALUE \(words[1]) 0 1 \(cas)\r\n\u{1}\r\nEND\r\n"
        case "delete": return "DELETED\r\n"
        default: return "STORED\r\n"
        }
    }

    private func say(_ reply: String, _ connection: Int32) {
        let bytes = Array(reply.utf8)
        #if canImport(Darwin)
        let flags: Int32 = 0
        #else
        let flags = Int32(MSG_NOSIGNAL)
        #endif
        _ = send(connection, bytes, bytes.count, flags)
    }
}

private func detach(_ body: @escaping @Sendable () -> Void) {
    Thread.detachNewThread(body)
}
