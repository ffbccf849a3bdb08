import Foundation
import Memcached
import MemcachedProcess

/// Starts servers and clients, makes everything go wrong, and has the histories checked.
struct Coordinator {
    let seconds: Double
    let mistake: String?

    /// One server, then a fleet of three, then one that evicts nothing and refuses what it has no room for, then one with
    /// room for all before a database whose replica lags. A planted mistake is looked for until it is noticed.
    func run() async throws -> Findings {
        var findings = Findings()
        for servers in [
            Servers(count: 1), Servers(count: 3), Servers(count: 1, evicts: false), Servers(count: 1, lags: true),
        ] {
            let part = try await torture(servers, seconds: seconds / 4)
            print("\(servers): \(part.text)\n")
            findings.add(part)
            if mistake != nil, findings.isBroken { break }
        }
        return findings
    }

    private struct Servers: CustomStringConvertible {
        var count: Int
        var evicts = true
        /// Before a replica that lags. What is lost of marks and stamps would be a window that ends early.
        var lags = false

        var tasks: Int { 100 }

        /// So little memory that it evicts all the time.
        var options: [String] { lags ? [] : ["-m", "2"] + (evicts ? [] : ["-M"]) }

        var faults: [Fault] { lags ? [.clientKilled, .clientStopped, .clientDeployed] : Fault.allCases }

        var description: String {
            "\(count == 1 ? "one server" : "\(count) servers")\(evicts ? "" : " that gets full")"
                + (lags ? " before a replica that lags" : "")
        }
    }

    /// Clients by number: their processes, and when they were stopped.
    private struct Fleet {
        var processes: [Int: pid_t] = [:]
        /// The index of each client's history.
        var current: [Int: Int] = [:]
        var histories: [String] = []
        var stops: [Stop] = []
        var generation = 0
        /// The index of each client's release.
        var versions: [Int: Int] = [:]
    }

    private func torture(_ kind: Servers, seconds: Double) async throws -> Findings {
        let folder = FileManager.default.temporaryDirectory.appending(path: "torture-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let database = folder.appending(path: "database").path
        _ = try SharedDatabase(path: database)
        let servers = try (0..<kind.count).map { _ in try MemcachedProcess(.tcp, options: kind.options) }
        defer { for server in servers { server.stop() } }
        let begin = monotonicNow()
        // What a replica said too much of is noticed when it is not invalidated again.
        let calm = begin + Int64(seconds * (kind.lags ? 0.5 : 0.75) * 1e9)
        let end = begin + Int64(seconds * 1e9)
        var fleet = Fleet()
        func startClient(_ number: Int) throws {
            fleet.generation += 1
            let history = folder.appending(path: "history-\(fleet.generation)").path
            let plan = ClientPlan(
                number: number, servers: servers.map(\.address), database: database, history: history,
                tasks: kind.tasks, skew: .milliseconds(.random(in: -500...500)), mistake: mistake,
                version: fleet.versions[number, default: 0],
                lag: kind.lags ? .random(in: 1...ClientPlan.longestLag) : 0, calm: calm, end: end)
            fleet.current[number] = fleet.histories.count
            fleet.histories.append(history)
            fleet.processes[number] = try ChildProcess.spawn(CommandLine.arguments[0], plan.arguments)
        }
        for number in 0..<ClientPlan.clients { try startClient(number) }
        var faults: [String: Int] = [:]
        var kills: [Int64] = []
        // A deck, so that none is left out by chance.
        var deck: [Fault] = []
        while monotonicNow() < calm - 4_500_000_000 {
            try await Task.sleep(for: .milliseconds(.random(in: 200...600)))
            let client = Int.random(in: 0..<ClientPlan.clients)
            let server = servers[Int.random(in: 0..<kind.count)]
            guard let process = fleet.processes[client] else { continue }
            // A client that has ended by itself has crashed, which is noticed at the end.
            if deck.isEmpty { deck = kind.faults.shuffled() }
            let fault = deck.removeLast()
            faults[fault.rawValue, default: 0] += 1
            switch fault {
            case .clientKilled, .clientDeployed:
                // A deploy goes forth or back, one process after the other.
                if fault == .clientDeployed {
                    fleet.versions[client] = 1 - fleet.versions[client, default: 0]
                }
                kills.append(monotonicNow())
                kill(process, SIGKILL)
                waitpid(process, nil, 0)
                try startClient(client)
            case .clientStopped:
                let stopped = monotonicNow()
                kill(process, SIGSTOP)
                try await Task.sleep(for: .milliseconds(.random(in: 500...2500)))
                kill(process, SIGCONT)
                fleet.stops.append(Stop(history: fleet.current[client] ?? 0, begin: stopped, end: monotonicNow()))
            case .serverRestarted:
                server.stop()
                try await Task.sleep(for: .milliseconds(.random(in: 0...300)))
                try server.start()
            case .serverStopped:
                server.suspend()
                try await Task.sleep(for: .milliseconds(.random(in: 200...1500)))
                server.resume()
            case .serverFlushed: try await flush(server)
            }
        }
        let crashed = try await ends(of: fleet, by: end + 15_000_000_000)
        var findings = Checker.check(
            fleet.histories.map(History.events), calm: calm, stops: fleet.stops, kills: kills,
            cachesInCalm: kind.evicts && !kind.lags, settled: kind.lags ? ClientPlan.settled : 0)
        findings.faults = faults
        findings.crashedClients = crashed
        return findings
    }

    /// Waits for the clients, and counts those that did not end well, or not at all.
    private func ends(of fleet: Fleet, by deadline: Int64) async throws -> Int {
        var running = Set(fleet.processes.values)
        var crashed = 0
        while !running.isEmpty, monotonicNow() < deadline {
            for process in running {
                var status: Int32 = 0
                guard waitpid(process, &status, WNOHANG) == process else { continue }
                running.remove(process)
                if status != 0 { crashed += 1 }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        for process in running {
            kill(process, SIGKILL)
            waitpid(process, nil, 0)
        }
        return crashed + running.count
    }
}

private func flush(_ server: MemcachedProcess) async throws {
    let store = try MemcachedStore(servers: [server.address])
    try? await store.flush()
    await store.shutdown()
}

/// What goes wrong.
enum Fault: String, CaseIterable {
    case clientKilled = "clients killed"
    case clientDeployed = "clients deployed, forth or back"
    case clientStopped = "clients stopped"
    case serverRestarted = "servers restarted"
    case serverStopped = "servers stopped"
    case serverFlushed = "servers flushed"
}

/// When some client was stopped: its own calls waited for no fault of the cache then.
struct Stop: Sendable {
    var history: Int
    var begin: Int64
    var end: Int64
}
