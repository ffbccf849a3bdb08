import Foundation
import Memcached
import MemcachedProcess

/// Starts servers and clients, makes everything go wrong, and has the histories checked.
struct Coordinator {
    let seconds: Double
    let mistake: String?

    /// One server, then a fleet of three.
    func run() async throws -> Findings {
        var findings = Findings()
        for servers in [1, 3] {
            let part = try await torture(servers: servers, seconds: seconds / 2)
            print("\(servers == 1 ? "one server" : "\(servers) servers"): \(part.text)\n")
            findings.add(part)
        }
        return findings
    }

    /// Clients by number: their processes, and when they were stopped.
    private struct Fleet {
        var processes: [Int: pid_t] = [:]
        var histories: [String] = []
        var stops: [Stop] = []
        var generation = 0
    }

    private func torture(servers count: Int, seconds: Double) async throws -> Findings {
        let folder = FileManager.default.temporaryDirectory.appending(path: "torture-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let database = folder.appending(path: "database").path
        _ = try SharedDatabase(path: database)
        // So little memory that it evicts all the time.
        let servers = try (0..<count).map { _ in try MemcachedProcess(.tcp, options: ["-m", "2"]) }
        defer { for server in servers { server.stop() } }
        let begin = monotonicNow()
        let calm = begin + Int64(seconds * 0.75 * 1e9)
        let end = begin + Int64(seconds * 1e9)
        var fleet = Fleet()
        func startClient(_ number: Int) throws {
            fleet.generation += 1
            let history = folder.appending(path: "history-\(fleet.generation)").path
            let plan = ClientPlan(
                number: number, servers: servers.map(\.address), database: database, history: history,
                skew: .milliseconds(.random(in: -500...500)), mistake: mistake, calm: calm, end: end)
            fleet.histories.append(history)
            fleet.processes[number] = try MemcachedProcess.spawn(CommandLine.arguments[0], plan.arguments)
        }
        for number in 0..<ClientPlan.clients { try startClient(number) }
        var faults: [String: Int] = [:]
        while monotonicNow() < calm - 3_500_000_000 {
            try await Task.sleep(for: .milliseconds(.random(in: 200...600)))
            let client = Int.random(in: 0..<ClientPlan.clients)
            guard let process = fleet.processes[client] else { continue }
            switch Int.random(in: 0..<4) {
            case 0:
                faults["clients killed", default: 0] += 1
                kill(process, SIGKILL)
                waitpid(process, nil, 0)
                try startClient(client)
            case 1:
                faults["clients stopped", default: 0] += 1
                let stopped = monotonicNow()
                kill(process, SIGSTOP)
                try await Task.sleep(for: .milliseconds(.random(in: 500...3000)))
                kill(process, SIGCONT)
                fleet.stops.append(Stop(history: fleet.histories.count, begin: stopped, end: monotonicNow()))
            case 2:
                faults["servers restarted", default: 0] += 1
                let server = servers[Int.random(in: 0..<count)]
                server.stop()
                try await Task.sleep(for: .milliseconds(.random(in: 0...300)))
                try server.start()
            default:
                faults["servers flushed", default: 0] += 1
                try await flush(servers[Int.random(in: 0..<count)])
            }
        }
        for process in fleet.processes.values { waitpid(process, nil, 0) }
        var findings = Checker.check(fleet.histories.map(History.events), calm: calm, stops: fleet.stops)
        findings.faults = faults
        return findings
    }
}

private func flush(_ server: MemcachedProcess) async throws {
    let store = try MemcachedStore(servers: [server.address])
    try? await store.flush()
    await store.shutdown()
}

/// When some client was stopped: calls that overlap that waited for no fault of the cache.
struct Stop: Sendable {
    var history: Int
    var begin: Int64
    var end: Int64
}
