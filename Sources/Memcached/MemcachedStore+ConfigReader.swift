#if Configuration
public import Configuration
import MintCache

extension MemcachedStore {
    /// Makes a store from a configuration.
    ///
    /// ## Configuration keys
    /// - `servers` (string array, required): addresses as in ``init(servers:configuration:instrumentation:)-([String],_,_)``.
    /// - Those of ``Configuration/init(config:)``.
    ///
    /// - Throws: ``MintCache/CacheError`` with code `invalidServer` without servers, `invalidConfiguration` for a value that
    ///   cannot be read, and as ``init(servers:configuration:instrumentation:)-([String],_,_)``.
    public convenience init(
        config: ConfigReader, instrumentation: MemcachedInstrumentation = MemcachedInstrumentation()
    ) throws {
        guard let servers = try config.checkedStrings("servers"), !servers.isEmpty else {
            throw CacheError(
                .invalidServer,
                "the configuration has no servers: give addresses like cache1:11211, with commas between them")
        }
        try self.init(servers: servers, configuration: Configuration(config: config), instrumentation: instrumentation)
    }
}

extension MemcachedStore.Configuration {
    /// Makes a configuration of a store. What is not there is as in the initializer with all options.
    ///
    /// ## Configuration keys
    /// Durations are in milliseconds.
    /// - `conversationsPerServer` (int): threads that converse with each server.
    /// - `operationTimeout`, `connectTimeout` (int): how long an operation may take in all, and connecting.
    /// - `maximumBatch`, `maximumLine`, `maximumValue`, `maximumWaiting` (int): the most calls of an exchange, bytes of a line,
    ///   bytes of a value, and calls that wait.
    /// - `maximumIdle` (int): how long a connection may be idle.
    /// - `failuresToOpen` (int): after how many time-outs in a row a server is not asked.
    /// - `acknowledgesWrites`, `readsBeforeFill` (bool): for proxies.
    /// - `resumesTasks` (bool): whether threads go on with the tasks that wait for them.
    /// - `user` (string), `password` (string, secret): for servers that want them.
    ///
    /// - Throws: ``MintCache/CacheError`` with code `invalidConfiguration` for a value that cannot be read, and for one of user
    ///   and password without the other.
    public init(config: ConfigReader) throws {
        self.init()
        conversationsPerServer = try config.checkedInt("conversationsPerServer") ?? conversationsPerServer
        operationTimeout = try config.checkedDuration("operationTimeout") ?? operationTimeout
        connectTimeout = try config.checkedDuration("connectTimeout") ?? connectTimeout
        maximumBatch = try config.checkedInt("maximumBatch") ?? maximumBatch
        maximumLine = try config.checkedInt("maximumLine") ?? maximumLine
        maximumValue = try config.checkedInt("maximumValue") ?? maximumValue
        maximumWaiting = try config.checkedInt("maximumWaiting") ?? maximumWaiting
        maximumIdle = try config.checkedDuration("maximumIdle") ?? maximumIdle
        failuresToOpen = try config.checkedInt("failuresToOpen") ?? failuresToOpen
        acknowledgesWrites = try config.checkedBool("acknowledgesWrites") ?? acknowledgesWrites
        readsBeforeFill = try config.checkedBool("readsBeforeFill") ?? readsBeforeFill
        resumesTasks = try config.checkedBool("resumesTasks") ?? resumesTasks
        switch (try config.checkedString("user"), try config.checkedString("password", isSecret: true)) {
        case (let user?, let password?):
            authentication = MemcachedStore.Authentication(user: user, password: password)
        case (nil, nil): break
        default:
            throw CacheError(
                .invalidConfiguration, "the configuration has one of user and password: give both, or none")
        }
    }
}
#endif
