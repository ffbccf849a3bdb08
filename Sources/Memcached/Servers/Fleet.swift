import MintCache
import Synchronization

/// The servers at one moment: the lists that a store was told, and a client for each server.
final class Fleet: Sendable {
    let lists: ServerLists
    /// As the servers of all lists.
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
/// A fleet that was replaced stays for as long as this does, since a thread may be reading it: some kilobytes for each
/// change.
final class CurrentFleet: Sendable {
    private let current: Atomic<Unmanaged<Fleet>>
    private let all: Mutex<[Fleet]>

    init(_ fleet: Fleet) {
        current = Atomic(.passUnretained(fleet))
        all = Mutex([fleet])
    }

    /// Reads the fleet as it is.
    @inline(__always)
    func read<Result>(_ body: (Fleet) throws -> Result) rethrows -> Result {
        try current.load(ordering: .acquiring)._withUnsafeGuaranteedRef(body)
    }

    /// Replaces the fleet, one change at a time.
    ///
    /// - Parameter change: what takes its place; `nil` to leave it.
    func replace(_ change: (Fleet) throws -> Fleet?) rethrows {
        try all.withLock { all in
            guard let fleet = try read(change) else { return }
            all.append(fleet)
            current.store(.passUnretained(fleet), ordering: .releasing)
        }
    }

    /// The clients of all servers that there ever were.
    var clientsSoFar: [ServerClient] { all.withLock { $0.flatMap(\.clients) } }
}
