import ArgumentParser
import Foundation
import Memcached
@_spi(Operators) import MintCache

struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says what is cached under a key, and why it would be a miss.",
        discussion: """
            The names of a value's groups are not in it. Those that the server has of the key's namespace are compared with \
            their stamps, for which all its keys are listed; --group names them instead.
            """)

    @Argument(help: "The store key, like 'shop:1:City.get(\"paris\")'.")
    var key: String

    @Option(help: "The name of a group of the value, as often as it has some.")
    var group: [String] = []

    @OptionGroup var servers: Servers

    func run() async throws {
        try await servers.withStore { store async throws in
            let key = try storeKey(key)
            let item: StoreItem?
            do { item = try await store.get(key) } catch let error as CacheError { throw Failure(error.message) }
            guard let item else {
                if servers.json {
                    try printJSON(KeyReport(missing: key.description))
                } else {
                    print("Nothing is cached under \(key): a call would load.")
                }
                throw ExitCode(3)
            }
            let envelope = EnvelopeReport(of: item.value, under: key)
            var report = KeyReport(key: key, envelope, size: item.value.count, at: SystemClock().now)
            if case .value(let value) = envelope.content {
                let current = try await generations(of: value, key, store)
                report.compare(value, with: current)
            }
            if servers.json { try printJSON(report) } else { print(report.words) }
        }
    }

    /// What stands under the groups of a value that are known by name.
    private func generations(
        of value: EnvelopeReport.Value, _ key: StoreKey, _ store: MemcachedStore
    ) async throws -> [StoreKey: EnvelopeReport.Stamp] {
        var keys = value.ownGroups.map(\.key)
        let namespace = key.description.prefix { $0 != ":" }
        if !group.isEmpty {
            keys += try group.map { try storeKey("\(namespace):@\($0)") }
        } else if !value.stamps.isEmpty {
            try servers.withConnections { _, connection in
                let progress = Progress(total: Int(try connection.stats()["curr_items"] ?? "") ?? 0, unit: "keys")
                defer { progress.end() }
                var done = 0
                try connection.dump { item in
                    done += 1
                    progress.show(done)
                    guard item.key.hasPrefix("\(namespace):@"), let group = try? StoreKey(item.key) else { return }
                    if value.stamps.contains(where: { $0.mayBe(of: group) }) { keys.append(group) }
                }
            }
        }
        var found: [StoreKey: EnvelopeReport.Stamp] = [:]
        for group in Set(keys) {
            // The stamps of a value's groups are on its own server.
            guard let item = try await store.part(of: key).store.get(group),
                case .generation(let stamp, _, _) = EnvelopeReport(of: item.value, under: group).content
            else { continue }
            found[group] = stamp
        }
        return found
    }
}

/// A key as it was given.
func storeKey(_ text: String) throws -> StoreKey {
    do { return try StoreKey(text) } catch let error as CacheError { throw ValidationError(error.message) }
}
