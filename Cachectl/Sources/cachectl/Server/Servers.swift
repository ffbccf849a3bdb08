import ArgumentParser
import Foundation
import Memcached
import MintCache

/// The servers that a command is for.
struct Servers: ParsableArguments {
    @Option(
        name: .shortAndLong, help: "The servers, host:port with commas between them; CACHE_SERVERS unless it is given.")
    var servers: String?

    @Flag(help: "Print JSON.")
    var json = false

    /// The addresses.
    func addresses() throws -> [String] {
        let list = servers ?? ProcessInfo.processInfo.environment["CACHE_SERVERS"] ?? "127.0.0.1:11211"
        let addresses = list.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        guard !addresses.isEmpty else { throw ValidationError("There is no server in '\(list)'.") }
        return addresses
    }

    /// Does something with a store on the servers.
    func withStore<Result>(_ body: (MemcachedStore) async throws -> Result) async throws -> Result {
        let store: MemcachedStore
        do {
            store = try MemcachedStore(
                servers: addresses(), configuration: .init(operationTimeout: .seconds(3)), instrumentation: .none)
        } catch let error as CacheError { throw ValidationError(error.message) }
        defer { Task { await store.shutdown() } }
        return try await body(store)
    }

    /// Does something with a connection to each server, one after the other.
    func withConnections(_ body: (_ address: String, Connection) throws -> Void) throws {
        for address in try addresses() {
            do { try body(address, Connection(to: address)) } catch let error as ConnectionError {
                throw Failure("\(address): \(error)")
            }
        }
    }
}

/// What went wrong with a server, which ends the command with 1.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
