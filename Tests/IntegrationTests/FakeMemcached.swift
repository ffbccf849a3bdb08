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

    /// The lines that were received, of all connections.
    var received: [String] { lines.withLock { $0 } }

    /// Starts to listen.
    ///
    /// - Parameter answer: is given the number of the connection, from 0, and a line without its end.
    init(_ answer: @escaping @Sendable (Int, String) -> Answer) throws {
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
                detach { [self] in serve(connection) { answer(current, $0) } }
            }
        }
    }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func serve(_ connection: Int32, _ answer: (String) -> Answer) {
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
            lines.withLock { $0.append(text) }
            switch answer(text) {
            case .say(let reply): say(reply, connection)
            case .hangUp(let reply): return say(reply, connection)
            case .silence: break
            }
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
