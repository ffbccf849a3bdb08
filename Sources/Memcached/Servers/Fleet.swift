#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import MintCache
import Synchronization

/// The lists of servers that a store was told, and a client for each server that is in any of them.
final class Fleet: Sendable {
    let lists: ServerLists
    /// In the order of the lists' servers.
    let clients: [ServerClient]

    init(_ lists: ServerLists, _ clients: [ServerClient]) {
        self.lists = lists
        self.clients = clients
    }

    /// The client of the server that a key is read from and written to.
    @inline(__always)
    func client(for key: StoreKey) -> ServerClient { clients[lists.server(for: key)] }
}

/// The fleet as it is, which any thread reads without a lock.
///
/// A fleet that was replaced is let go of when nobody reads it any more. That is sleepable read-copy-update (McKenney,
/// *Sleepable RCU*, 2006): readers count themselves under the parity of a number, which the writer raises; when nobody
/// counts under the old parity, those who came before have gone. It does that twice, for those who had looked at the number
/// and not yet counted themselves.
final class CurrentFleet: Sendable {
    /// How many threads read, by the parity under which they began. Several, so that threads seldom meet.
    private final class Readers: Sendable {
        let even = Atomic(0)
        let odd = Atomic(0)
        // A line of the processor's cache by itself, and the one beside it, which is fetched along.
        private let padding: (Int64, Int64, Int64, Int64, Int64, Int64, Int64, Int64) = (0, 0, 0, 0, 0, 0, 0, 0)
        private let more: (Int64, Int64, Int64, Int64, Int64, Int64, Int64, Int64) = (0, 0, 0, 0, 0, 0, 0, 0)

        func count(isOdd: Bool) -> Int {
            isOdd ? odd.load(ordering: .sequentiallyConsistent) : even.load(ordering: .sequentiallyConsistent)
        }
    }

    private static let shards = 8

    private struct State {
        var fleet: Fleet
        /// Clients of servers that are in no list any more, and are still to be closed.
        var leaving: [ServerClient] = []
    }

    private let current: Atomic<Unmanaged<Fleet>>
    private let turns = Atomic(0)
    private let readers = (0..<shards).map { _ in Readers() }
    private let state: Mutex<State>

    init(_ fleet: Fleet) {
        current = Atomic(.passUnretained(fleet))
        state = Mutex(State(fleet: fleet))
    }

    /// Reads the fleet as it is.
    @inline(__always)
    func read<Result>(_ body: (Fleet) throws -> Result) rethrows -> Result {
        let readers = readers[Self.shard]
        let isOdd = turns.load(ordering: .sequentiallyConsistent) & 1 == 1
        if isOdd {
            readers.odd.add(1, ordering: .sequentiallyConsistent)
        } else {
            readers.even.add(1, ordering: .sequentiallyConsistent)
        }
        defer {
            if isOdd {
                readers.odd.subtract(1, ordering: .sequentiallyConsistent)
            } else {
                readers.even.subtract(1, ordering: .sequentiallyConsistent)
            }
        }
        return try current.load(ordering: .sequentiallyConsistent)._withUnsafeGuaranteedRef(body)
    }

    /// The same for each thread.
    private static var shard: Int {
        #if canImport(Glibc)
        let thread = UInt64(pthread_self())
        #else
        let thread = UInt64(UInt(bitPattern: pthread_self()))
        #endif
        return Int(truncatingIfNeeded: (thread &* 0x9E37_79B9_7F4A_7C15) >> 61)
    }

    /// Replaces the fleet, one change at a time, and waits until nobody reads the one before.
    ///
    /// - Parameter change: what takes its place; `nil` to leave it.
    /// - Returns: the clients that are in the fleet no more. They are to be closed, and then said to be so.
    func replace(_ change: (Fleet) throws -> Fleet?) rethrows -> [ServerClient] {
        try state.withLock { state in
            let old = state.fleet
            guard let fleet = try change(old) else { return [] }
            current.store(.passUnretained(fleet), ordering: .sequentiallyConsistent)
            for _ in 0..<2 {
                let isOdd = turns.add(1, ordering: .sequentiallyConsistent).oldValue & 1 == 1
                // They do not wait for anything.
                while readers.contains(where: { $0.count(isOdd: isOdd) > 0 }) { usleep(50) }
            }
            state.fleet = fleet
            let gone = old.clients.filter { client in !fleet.clients.contains { $0 === client } }
            state.leaving += gone
            return gone
        }
    }

    /// Clients that `replace` has returned are closed.
    func left(_ clients: [ServerClient]) {
        state.withLock { $0.leaving.removeAll { client in clients.contains { $0 === client } } }
    }

    /// The clients of all servers that are not closed yet.
    var openClients: [ServerClient] { state.withLock { $0.fleet.clients + $0.leaving } }
}
