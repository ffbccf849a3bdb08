import Foundation
package import MemcachedProcess
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Hands on what goes between clients and a server, counts it, and does to it what networks do.
package final class Relay: Sendable {
    private struct State {
        var connections: [Int32] = []
        /// Connections up to this one are forgotten: what comes on them is swallowed.
        var forgotten = -1
        package var lines: [String] = []
        /// Connections up to this one hand the server's answers on a byte at a time, five a second.
        var trickling = -1
        /// What is done to what the server says, on all connections.
        var fault: RelayFault?
        var hasStopped = false
    }

    package let address: String
    private let listener: Int32
    private let state = Mutex(State())

    /// Starts to listen.
    ///
    /// - Parameters:
    ///   - port: the loopback port of the server.
    ///   - say: what to hand on for what the server has said; the number of the connection and the text.
    package init(toPort port: UInt16, say: @escaping @Sendable (Int, [UInt8]) -> [UInt8] = { $1 }) throws {
        let (descriptor, own) = try MemcachedProcess.listener()
        address = "127.0.0.1:\(own)"
        listener = descriptor
        Thread.detachNewThread { [self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                guard let server = MemcachedProcess.connect(toPort: port) else {
                    close(client)
                    continue
                }
                let number = state.withLock { state in
                    state.connections += [client, server]
                    return state.connections.count / 2 - 1
                }
                Thread.detachNewThread { [self] in pump(number, client, server, isRequest: true) { $0 } }
                Thread.detachNewThread { [self] in pump(number, server, client, isRequest: false) { say(number, $0) } }
            }
        }
    }

    /// The lines of requests, of all connections.
    package var lines: [String] { state.withLock(\.lines) }

    /// How many connections were made.
    package var connectionCount: Int { state.withLock { $0.connections.count / 2 } }

    package func forgetLines() { state.withLock { $0.lines = [] } }

    /// From now on swallows what comes on the connections that there are, as a firewall does that has forgotten them.
    package func forgetConnections() { state.withLock { $0.forgotten = $0.connections.count / 2 - 1 } }

    /// From now on hands on what the server says a byte at a time, on the connections that there are.
    package func trickle() { state.withLock { $0.trickling = $0.connections.count / 2 - 1 } }

    /// From now on does something to what the server says, or nothing any more.
    package func set(_ fault: RelayFault?) { state.withLock { $0.fault = fault } }

    /// Ends the connections that there are.
    package func cut() { for descriptor in state.withLock(\.connections) { shutdown(descriptor, Int32(SHUT_RDWR)) } }

    /// Ends it, once: the descriptor may be another test's by the second time.
    package func stop() {
        guard state.withLock({ !exchange(&$0.hasStopped, with: true) }) else { return }
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        cut()
    }

    private func pump(
        _ number: Int, _ from: Int32, _ to: Int32, isRequest: Bool, _ change: ([UInt8]) -> [UInt8]
    ) {
        var buffer = [UInt8](repeating: 0, count: 65536)
        var faults = FaultyStream()
        while true {
            let count = recv(from, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            let (isForgotten, trickles, fault) = state.withLock { state in
                if isRequest {
                    let text = String(decoding: buffer[..<count], as: UTF8.self)
                    state.lines += text.split(separator: "\r\n").map(String.init)
                }
                return (number <= state.forgotten, !isRequest && number <= state.trickling, state.fault)
            }
            if isForgotten { continue }
            let bytes = change(Array(buffer[..<count]))
            if isRequest {
                while state.withLock({ $0.fault }) == .neverReads { usleep(20_000) }
                guard hand([.bytes(bytes)], to) else { break }
            } else if trickles {
                guard hand(bytes.flatMap { [.pause(milliseconds: 200), .bytes([$0])] }, to) else { break }
            } else {
                guard hand(faults.pieces(of: bytes, fault), to) else { break }
            }
        }
        shutdown(to, Int32(SHUT_RDWR))
    }

    /// Hands something on, and says whether the connection goes on.
    private func hand(_ pieces: [FaultyStream.Piece], _ to: Int32) -> Bool {
        pieces.allSatisfy { piece in
            switch piece {
            case .pause(let milliseconds):
                usleep(UInt32(milliseconds) * 1000)
                return true
            case .bytes(let bytes): return bytes.isEmpty || send(to, bytes, bytes.count, Self.flags) == bytes.count
            case .cut: return false
            }
        }
    }

    #if canImport(Darwin)
    private static let flags: Int32 = 0
    #else
    private static let flags = Int32(MSG_NOSIGNAL)
    #endif
}

extension MemcachedProcess {
    package var port: UInt16 { address.split(separator: ":").last.flatMap { UInt16($0) } ?? 0 }
}
