import ArgumentParser

@main
struct CacheBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache-bench",
        abstract: "Measures the cache beside the C library that it is built on, in turn, in one run.",
        subcommands: [RunCommand.self, StampedeClient.self], defaultSubcommand: RunCommand.self)
}

/// Why a benchmark could not go on.
struct BenchFailure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}
