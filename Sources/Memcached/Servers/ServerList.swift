import MintCache

/// The servers of a fleet, with a number that whoever runs it raises by one with each change.
///
/// A change goes in three steps, each of which all processes have taken before any takes the next one:
///
/// 1. *announce*: the old list is current, the new one is next;
/// 2. *switch*: the new list is current, the old one is previous;
/// 3. *forget*: the new list is current.
///
/// From there it only goes on: to go back is another change, with the next number, and a number that any process has had as
/// its current one is never another list's.
///
/// A process takes a step when it is started anew, or while it runs with
/// ``MemcachedStore/update(servers:previous:next:)``.
///
/// Values are read and written on the servers of the current list. What is invalidated is so on the servers of every list
/// that a process was told, so all of them have to be up. Values whose key did not move stay hits until the old number is
/// forgotten. Without a number, or with another order of steps, an invalidated value may come back when a key moves.
public struct ServerList: Sendable, Hashable {
    /// The servers.
    public var servers: [MemcachedServer]
    /// The number of the list; 0 for one without.
    public var number: UInt32

    /// Makes a list of servers.
    @_disfavoredOverload
    public init(_ servers: [MemcachedServer], number: UInt32) {
        self.servers = servers
        self.number = number
    }

    /// Makes a list of servers given as addresses, as ``MemcachedStore/init(servers:configuration:)-([String],_)`` takes
    /// them.
    ///
    /// - Throws: ``CacheError`` with code `invalidServer` for an address that is malformed.
    public init(_ servers: [String], number: UInt32) throws {
        self.init(try servers.map { try MemcachedServer($0) }, number: number)
    }

    func validate() throws {
        guard !servers.isEmpty else {
            throw CacheError(.invalidServer, "the list of memcached servers is empty: name at least one")
        }
        for (index, server) in servers.enumerated()
        where servers[..<index].contains(where: { $0.identity == server.identity }) {
            throw CacheError(.invalidServer, "the memcached server '\(server)' is listed twice: list it once")
        }
    }
}

/// Where keys are by the lists of servers that a store was told.
struct ServerLists: Sendable {
    private struct Placement: Sendable {
        let number: UInt32
        let ring: Ring
        /// Where the list's servers are among all.
        let indices: [Int]

        func server(for key: StoreKey) -> Int { indices[ring.server(for: key)] }
    }

    let current: ServerList
    let previous: ServerList?
    let next: ServerList?
    /// The servers of all lists, those of the current one first, so that they are where its ring says.
    let servers: [MemcachedServer]
    private let ring: Ring
    /// The list before, or the one that is to come.
    private let other: Placement?

    init(current: ServerList, previous: ServerList? = nil, next: ServerList? = nil) throws {
        guard previous == nil || next == nil else {
            throw CacheError(
                .invalidServer,
                "a previous and a next list of servers: a process takes one step at a time, so forget the previous one "
                    + "before the next one is announced")
        }
        try current.validate()
        for (other, number) in [(previous, Int(current.number) - 1), (next, Int(current.number) + 1)] {
            guard let other else { continue }
            try other.validate()
            guard Int(other.number) == number, current.number > 0 else {
                throw CacheError(
                    .invalidServer,
                    "the list of servers beside number \(current.number) has number \(other.number): begin at 1, and "
                        + "raise it by one with each change")
            }
        }
        var servers = current.servers
        (self.current, self.previous, self.next) = (current, previous, next)
        ring = try Ring(current.servers)
        other = try (previous ?? next).map { list in
            let indices = list.servers.map { server -> Int in
                if let index = servers.firstIndex(where: { $0.identity == server.identity }) { return index }
                servers.append(server)
                return servers.count - 1
            }
            return Placement(number: list.number, ring: try Ring(list.servers), indices: indices)
        }
        self.servers = servers
    }

    /// The number of the current list.
    var number: UInt32 { current.number }

    /// The server that a key is read from and written to.
    @inline(__always)
    func server(for key: StoreKey) -> Int { ring.server(for: key) }

    /// The servers that any process may read a key from.
    func servers(for key: StoreKey) -> [Int] {
        let (here, elsewhere) = (server(for: key), other?.server(for: key))
        return elsewhere.map { $0 == here ? [here] : [here, $0] } ?? [here]
    }

    /// Whether what was cached under a list stands where this one has it too, and every process invalidates it there.
    func accepts(_ number: UInt32, for key: StoreKey) -> Bool {
        if number == self.number { return true }
        guard let other, other.number == number else { return false }
        return other.server(for: key) == server(for: key)
    }

    /// Whether they are the very same.
    func isSame(as others: ServerLists) -> Bool {
        (current, previous, next) == (others.current, others.previous, others.next)
    }

    /// - Throws: ``CacheError`` with code `invalidServer` where they are not the step of a change that comes after others.
    func validate(after before: ServerLists) throws {
        let isStep =
            if before.number == 0 {
                // Nothing is promised there.
                true
            } else if let announced = before.next {
                (current, previous, next) == (announced, before.current, nil)
            } else if before.previous != nil {
                (current, previous, next) == (before.current, nil, nil)
            } else {
                (current, previous) == (before.current, nil)
            }
        guard isStep else {
            throw CacheError(
                .invalidServer,
                "the lists of servers (\(text)) are not the step after those that the store has (\(before.text)): announce the "
                    + "next list, switch to it and forget the old one, all processes one step after the other")
        }
    }

    private var text: String {
        "current number \(number)" + (previous.map { ", previous \($0.number)" } ?? "")
            + (next.map { ", next \($0.number)" } ?? "")
    }
}
