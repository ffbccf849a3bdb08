#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import MintCache
import Synchronization

/// The one address of a server that all connections to it share, and renew together.
///
/// Were each connection to look the name up for itself, one could invalidate on the new machine while another reads
/// from the old one.
final class ServerAddress: Sendable {
    /// Looks a host name up.
    typealias Resolver = @Sendable (_ host: String) throws -> [String]

    /// An address to connect to, and how often the address had been renewed.
    struct Attempt: Equatable {
        var host: String
        var generation: Int
    }

    private struct State {
        var hosts: [String] = []
        var index = 0
    }

    private let name: String?
    private let resolve: Resolver
    private let state = Mutex(State())
    private let number = Atomic(0)

    /// - Parameter resolve: looks names up; injected by tests.
    init(of server: MemcachedServer, resolve: @escaping Resolver = ServerAddress.lookUp) {
        if case .tcp(let host, _) = server.endpoint { name = host } else { name = nil }
        self.resolve = resolve
    }

    /// How often the address was renewed: a connection that was made before that is to be renewed too.
    var generation: Int { number.load(ordering: .acquiring) }

    /// The address to connect to. It is looked up if it is not known, by the calling thread and without a lock, since
    /// that may take any time.
    func current() throws -> Attempt {
        guard let name else { return Attempt(host: "", generation: generation) }
        while true {
            if let known = known() { return known }
            let before = generation
            let hosts = try resolve(name)
            guard !hosts.isEmpty else { throw CacheError(.unavailable, "the host \(name) has no address") }
            // What was looked up before a connection broke may be what it broke for.
            state.withLock { if $0.hosts.isEmpty, generation == before { $0 = State(hosts: hosts) } }
        }
    }

    private func known() -> Attempt? {
        state.withLock { state in
            state.hosts.isEmpty ? nil : Attempt(host: state.hosts[state.index], generation: generation)
        }
    }

    /// An address does not accept connections: all move on to the next one.
    ///
    /// - Returns: what to try instead; `nil` after the last one.
    func moveOn(from attempt: Attempt) -> Attempt? {
        state.withLock { state in
            // Another thread has been here.
            if attempt.generation != generation {
                return state.hosts.isEmpty ? nil : Attempt(host: state.hosts[state.index], generation: generation)
            }
            guard state.index + 1 < state.hosts.count else {
                // The next look-up may say something else: then no connection may stay where it is.
                state = State()
                number.add(1, ordering: .acquiringAndReleasing)
                return nil
            }
            state.index += 1
            return Attempt(
                host: state.hosts[state.index], generation: number.add(1, ordering: .acquiringAndReleasing).newValue)
        }
    }

    /// A connection broke that had worked: all are renewed, at an address that is looked up anew.
    func renew(from generation: Int) {
        state.withLock { state in
            guard generation == self.generation else { return }
            state = State()
            number.add(1, ordering: .acquiringAndReleasing)
        }
    }

    /// Asks the system.
    ///
    /// - Throws: ``CacheError`` with code `unavailable`, the host and the resolver's reason.
    static func lookUp(_ host: String) throws -> [String] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        #if canImport(Glibc)
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #else
        hints.ai_socktype = SOCK_STREAM
        #endif
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &first)
        guard code == 0 else {
            throw CacheError(
                .unavailable,
                "the host \(host) of a memcached server cannot be looked up: \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(first) }
        var hosts: [String] = []
        var next = first
        while let entry = next?.pointee {
            var name = [CChar](repeating: 0, count: 1025)
            if getnameinfo(entry.ai_addr, entry.ai_addrlen, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST) == 0 {
                let text = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
                if !hosts.contains(text) { hosts.append(text) }
            }
            next = entry.ai_next
        }
        return hosts
    }
}
