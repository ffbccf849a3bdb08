import ArgumentParser
import Foundation

/// The whole run.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Measures everything and writes the report.")

    @Argument(help: "The memcached to measure on, host:port. It is filled with test values.")
    var server: String

    @Argument(help: "The path of the UNIX socket of another one.")
    var socket: String

    @Argument(help: "The servers of a fleet, host:port with commas between them.")
    var fleet: String

    @Option(help: "Seconds for each run of each scenario.")
    var seconds = 0.5

    @Option(help: "How often each scenario runs, in turn with the others.")
    var rounds = 24

    @Option(help: "Threads of the multi-gets.")
    var connections = 2

    @Option(help: "How often the hot key of the stampede expires.")
    var expiries = 20

    @Option(help: "The size of the large group of the group invalidation; 0 leaves it out.")
    var group = 1_000_000

    @Option(help: "The folder of the report.")
    var output = ".build/bench"

    @Option(help: "A Python with the peers' packages: measures them too. `make bench-peers` gives it.")
    var peers: String?

    @Option(
        help:
            "Only scenarios with this in their names, and what they are compared to; `costs` for what is counted and not timed."
    )
    var only: String?

    @Flag(help: "Fail when a cost that does not depend on time is higher than it should be.")
    var checkCosts = false

    func validate() throws {
        guard seconds > 0, rounds > 0 else { throw ValidationError("--seconds and --rounds must be positive.") }
    }

    func run() async throws {
        let peers = peers.map { Peers(python: $0, server: server) }
        let catalogue = try Catalogue(
            server: server, socket: socket, fleet: fleet.split(separator: ",").map(String.init),
            connections: connections)
        var scenarios = try await catalogue.prepare() + (peers?.scenarios() ?? [])
        if let only {
            scenarios.removeAll { !$0.name.contains(only) && !$0.name.hasPrefix("libmemcached") }
        }
        let isWhole = only == nil
        let stampede = Stampede(server: server, expiries: expiries, peers: peers)
        let progress = Progress(
            total: Double(rounds) * (seconds * Double(scenarios.count) + (peers?.startingSeconds ?? 0))
                + (isWhole ? Costs.estimatedSeconds(group: group) + stampede.estimatedSeconds : 0))
        var measurements = Measurements()
        try await measurements.measure(scenarios, rounds: rounds, seconds: seconds, progress: progress)
        let costs =
            isWhole || only == "costs" ? try await Costs.measure(server: server, group: group, progress: progress) : nil
        let stampedes = isWhole ? try await stampede.run(progress: progress) : []
        progress.clear()
        await catalogue.close()

        let report = Report(
            measurements, Ratios.all(of: measurements, connections: connections, costs, stampedes), costs, stampedes,
            Machine(rounds: rounds, seconds: seconds))
        try report.write(to: URL(fileURLWithPath: output))
        print(report.markdown)
        print("\n\(rounds) rounds of \(seconds) s for each scenario; see \(output)/report.html and latest.json")
        if Double(rounds) * seconds < 5 {
            print("That is too short to judge anything by: it only shows that all works.")
        }
        if checkCosts { try costs?.check() }
    }
}
