import Foundation

/// `soak SECONDS PLOT.svg` keeps a cache under constant load while its servers fail, and says whether what the process
/// takes stays the same. `soak leftovers COUNT` says what so many caches and stores leave behind that were made and dropped.
@main
enum Main {
    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if arguments.first == "leftovers", let count = arguments.last.flatMap({ Int($0) }) {
            return try await drop(count)
        }
        guard arguments.count == 2, let seconds = Double(arguments[0]), seconds >= 20 else {
            print("usage: soak SECONDS PLOT.svg, with 20 seconds or more")
            exit(2)
        }
        guard Resources.now != nil else {
            print("what a process takes is read in /proc, which this system has not: run the soak on Linux")
            exit(2)
        }
        let soak = try Soak(seconds: seconds)
        let report = try await soak.run()
        print(report.text)
        try Data(report.plot.svg.utf8).write(to: URL(filePath: arguments[1]))
        print("plot: \(arguments[1])")
        exit(report.isFlat ? 0 : 1)
    }

    private static func drop(_ count: Int) async throws {
        guard let (before, after) = try await Leftovers(count: count).run() else { exit(2) }
        print("after \(count / 10) of them: \(before); after \(count) more: \(after)")
        let grown = after.residentBytes - before.residentBytes
        exit(after.threads <= before.threads && after.openFiles <= before.openFiles && grown < 10_000_000 ? 0 : 1)
    }
}
