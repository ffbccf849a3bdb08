import ArgumentParser
import CacheUtils
import Memcached
import MintCache

struct Invalidate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Invalidates a key, or a group on all servers.",
        discussion: "As the application would: no call that begins afterwards is served what was cached before.")

    @Argument(help: "The store key, like 'shop:1:City.get(\"paris\")'.")
    var key: String?

    @Option(help: "The name of a group.")
    var group: String?

    @Option(help: "The namespace of the group.")
    var namespace: String?

    @OptionGroup var servers: Servers

    private struct Outcome: Encodable {
        var invalidated: String
        /// `nil` for a group, of which that is not known.
        var wasCached: Bool?
    }

    func validate() throws {
        guard (key == nil) != (group == nil) else { throw ValidationError("Give a key or --group, one of them.") }
        if let key, key.split(separator: ":", maxSplits: 1).last?.hasPrefix("@") == true {
            throw ValidationError(
                "\(key) is a group's, which has a stamp on every server: use --group and --namespace.")
        }
        guard group == nil || namespace != nil else { throw ValidationError("--group needs the --namespace it is in.") }
    }

    func run() async throws {
        try await servers.withStore { store async throws in
            do {
                if let key {
                    let key = try storeKey(key)
                    var wasCached = false
                    for part in store.parts(of: key) { wasCached = try await part.store.delete(key) || wasCached }
                    try say(
                        Outcome(invalidated: key.description, wasCached: wasCached),
                        wasCached ? "\(key) is invalidated." : "Nothing was cached under \(key).")
                } else if let group, let namespace {
                    let cache = Cache(
                        store: store, namespace: namespace, instrumentation: .none, trapsBadOptions: false)
                    try await cache.invalidate(group: group)
                    try say(
                        Outcome(invalidated: "\(namespace):@\(group)"),
                        "The group \(group) of \(namespace) is invalidated on all servers.")
                }
            } catch let error as CacheError {
                if error.code == .invalidKey { throw ValidationError(error.message) }
                throw Failure(error.message)
            }
        }
    }

    private func say(_ outcome: Outcome, _ words: String) throws {
        if servers.json { try printJSON(outcome) } else { print(words) }
    }
}
