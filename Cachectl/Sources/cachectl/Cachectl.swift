import ArgumentParser

/// What an operator asks of the caches on memcached servers.
@main
struct Cachectl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cachectl",
        abstract: "Looks into the caches on memcached servers, and invalidates what is in them.",
        discussion: """
            Servers are given by --servers or in the environment variable CACHE_SERVERS, like cache1:11211,cache2:11211: the \
            same, in the same order and with the same weights, as the applications have them.

            It exits with 0 when all went well, 1 when a server failed, 3 when a key is not there, and 64 for arguments that \
            cannot be used.
            """,
        subcommands: [Get.self, List.self, Invalidate.self, Stats.self, Top.self])
}
