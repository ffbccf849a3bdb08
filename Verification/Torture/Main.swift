import Foundation

/// `torture SECONDS [PLANTED MISTAKE]` runs the whole; `torture client …` is one of its processes.
@main
enum Main {
    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if arguments.first == "client" {
            try await Client(ClientPlan(arguments: Array(arguments.dropFirst()))).run()
            return
        }
        let seconds = arguments.first.flatMap(Double.init) ?? 60
        let mistake = arguments.dropFirst().first
        let findings = try await Coordinator(seconds: seconds, mistake: mistake).run()
        print(findings.text)
        let isAsExpected = mistake == nil ? findings.isClean : findings.isBroken
        if let mistake {
            print(isAsExpected ? "\(mistake) was noticed" : "\(mistake) was NOT noticed")
        }
        exit(isAsExpected ? 0 : 1)
    }
}

/// Nanoseconds of the clock that all processes of the machine share and that does not jump.
func monotonicNow() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
