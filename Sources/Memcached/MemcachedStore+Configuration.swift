import MintCache

extension MemcachedStore {
    /// How a store uses its servers.
    public struct Configuration: Sendable, Hashable {
        /// How many threads converse with each server, each on two connections: 1 to 16. One is fastest where the
        /// server is on the same machine, and makes more than half a million hits a second; where servers are elsewhere
        /// and cores are idle, two may make more. Another thread, on one more connection, writes what must be
        /// acknowledged.
        public var conversationsPerServer: Int
        /// How long an operation may take in all, in the queue, for connecting and on the wire: 1 ms to 1 hour.
        public var operationTimeout: Duration
        /// How long connecting to one address may take: 1 ms to 1 hour. The operation timeout bounds it too.
        public var connectTimeout: Duration
        /// The most calls that leave in one exchange: 1 to 1,000.
        public var maximumBatch: Int
        /// The most bytes of keys that leave in one line: 300 to 1,000,000. A call of many keys takes as many lines as it
        /// needs, one after another. Calls that leave together share a line of 8,000 bytes at most, which is what
        /// libmemcached sends at once.
        public var maximumLine: Int
        /// The most bytes that a value may have: 1,024 to 1,073,741,824. memcached takes as many as `-I` says, a mebibyte by
        /// default. An answer that claims to have more is an error before room is made for it; what has more is not written.
        public var maximumValue: Int
        /// How many calls may wait for one conversation: 1 to 10,000,000. More fail at once with the code `overloaded`.
        public var maximumWaiting: Int
        /// How long a connection may be idle before it is renewed: 1 second to 1 day. Firewalls forget connections
        /// after some four minutes.
        public var maximumIdle: Duration
        /// After how many time-outs in a row a server is not asked until it answers again: 1 to 1,000. A server that
        /// cannot be connected to is not asked at once.
        public var failuresToOpen: Int
        /// Whether the server acknowledges each write by itself. Otherwise small ones are sent with what is read, and
        /// read back: five times as fast, and not for a proxy that has several connections to one server, since it may
        /// read before it writes.
        public var acknowledgesWrites: Bool
        /// Whether a lease is read before it is written over, although the store knows its CAS id: necessary behind a
        /// proxy, where a restart of a server cannot be seen. A proxy that shows itself is treated so in any case.
        public var readsBeforeFill: Bool
        /// Whether the threads that converse resume the tasks that wait for them, as long as they are quick, instead of
        /// leaving each to Swift's executor. Twice as fast with few tasks; it has no effect on Apple's platforms and
        /// with compilers that it was not tested with.
        public var resumesTasks: Bool
        /// For servers that want a user and a password (`-Y`).
        public var authentication: Authentication?

        /// Makes a configuration.
        public init(
            conversationsPerServer: Int = 1, operationTimeout: Duration = .milliseconds(500),
            connectTimeout: Duration = .milliseconds(500), maximumBatch: Int = 256, maximumLine: Int = 64_000,
            maximumValue: Int = 64 * 1024 * 1024, maximumWaiting: Int = 100_000,
            maximumIdle: Duration = .seconds(180), failuresToOpen: Int = 2, acknowledgesWrites: Bool = false,
            readsBeforeFill: Bool = false, resumesTasks: Bool = true,
            authentication: Authentication? = nil
        ) {
            self.conversationsPerServer = conversationsPerServer
            self.operationTimeout = operationTimeout
            self.connectTimeout = connectTimeout
            self.maximumBatch = maximumBatch
            self.maximumLine = maximumLine
            self.maximumValue = maximumValue
            self.maximumWaiting = maximumWaiting
            self.maximumIdle = maximumIdle
            self.failuresToOpen = failuresToOpen
            self.acknowledgesWrites = acknowledgesWrites
            self.readsBeforeFill = readsBeforeFill
            self.resumesTasks = resumesTasks
            self.authentication = authentication
        }

        func validate() throws {
            try Self.check("conversationsPerServer", conversationsPerServer, in: 1...16)
            try Self.check("maximumBatch", maximumBatch, in: 1...1000)
            try Self.check("maximumLine", maximumLine, in: 300...1_000_000)
            try Self.check("maximumValue", maximumValue, in: 1024...1 << 30)
            try Self.check("maximumWaiting", maximumWaiting, in: 1...10_000_000)
            try Self.check("failuresToOpen", failuresToOpen, in: 1...1000)
            try Self.check("operationTimeout", operationTimeout, in: .milliseconds(1) ... .seconds(3600))
            try Self.check("connectTimeout", connectTimeout, in: .milliseconds(1) ... .seconds(3600))
            try Self.check("maximumIdle", maximumIdle, in: .seconds(1) ... .seconds(86_400))
            try authentication?.validate()
        }

        private static func check<Value>(_ name: String, _ value: Value, in range: ClosedRange<Value>) throws {
            guard range.contains(value) else {
                throw CacheError(
                    .invalidConfiguration,
                    "\(name) is \(value): give \(range.lowerBound) to \(range.upperBound)")
            }
        }
    }

    /// A user and a password for memcached's own authentication, `-Y`. They are sent as they are, on every new
    /// connection.
    public struct Authentication: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible,
        CustomReflectable
    {
        let user: String
        let password: String

        /// Takes a user and a password as the server's file has them.
        public init(user: String, password: String) {
            self.user = user
            self.password = password
        }

        /// The user; the password is never shown.
        public var description: String { "user \(user)" }
        /// The same.
        public var debugDescription: String { description }
        /// The user alone.
        public var customMirror: Mirror { Mirror(self, children: ["user": user]) }

        fileprivate func validate() throws {
            for (name, text, forbidden) in [("user", user, " :"), ("password", password, " ")] {
                guard !text.isEmpty, text.utf8.count <= 255,
                    text.unicodeScalars.allSatisfy({ $0.value > 0x1F && $0.value != 0x7F }),
                    !text.contains(where: forbidden.contains)
                else {
                    throw CacheError(
                        .invalidConfiguration,
                        "the \(name) of the authentication is empty, too long, or has a control character, a space\(name == "user" ? " or a colon" : "") in it"
                    )
                }
            }
        }
    }
}

extension Connection.Settings {
    init(_ configuration: MemcachedStore.Configuration, isAcknowledged: Bool) {
        operationTimeout = configuration.operationTimeout.nanoseconds
        connectTimeout = configuration.connectTimeout.nanoseconds
        lineLength = configuration.maximumLine
        largestValue = configuration.maximumValue
        longestIdle = configuration.maximumIdle.nanoseconds
        authentication = configuration.authentication
        readsBeforeFill = configuration.readsBeforeFill
        self.isAcknowledged = isAcknowledged
    }
}
