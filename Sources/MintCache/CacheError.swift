/// What went wrong in a cache or in its store, in words that say what to do about it.
///
/// A read never throws one for store trouble: the loader runs instead. An invalidation does, because its promise
/// was not kept; a call whose key, lifetime or groups are malformed does, before anything is loaded.
public struct CacheError: Error, Sendable {
    /// The kind of an error. More kinds may be added, so a `switch` over them needs a `default`. A store may have kinds of
    /// its own: whatever a read throws is store trouble, but `valueTooLarge` and `storeFailure` say of a write that the
    /// store has answered and refused it.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private let name: String

        /// Makes a kind of its own, by a name that no other has.
        public init(_ name: String) { self.name = name }

        /// The name of this code.
        public var description: String { name }

        /// A key, a name, a group, a namespace or one of their parts cannot be part of a store key.
        public static let invalidKey = Code("invalidKey")
        /// A lifetime or another duration is zero, negative or out of range.
        public static let invalidDuration = Code("invalidDuration")
        /// A store or a cache was not made for what is asked of it, or with something it cannot work with.
        public static let invalidConfiguration = Code("invalidConfiguration")
        /// A batch loader gave no value for an element, or another number of values than it was asked for.
        public static let incompleteBatch = Code("incompleteBatch")
        /// A server address is malformed, empty or listed twice.
        public static let invalidServer = Code("invalidServer")
        /// The store cannot be reached, or the connection to it broke.
        public static let unavailable = Code("unavailable")
        /// The store did not answer within the operation timeout.
        public static let timeout = Code("timeout")
        /// So many calls wait for the store already that this one was not made.
        public static let overloaded = Code("overloaded")
        /// The value is larger than the store takes. What was under its key before may be gone.
        public static let valueTooLarge = Code("valueTooLarge")
        /// The store answered with an error or with something that does not belong to the request.
        public static let storeFailure = Code("storeFailure")
        /// The store was shut down before this use of it.
        public static let shutDown = Code("shutDown")
        /// A loader asked for the value that it loads.
        public static let reentrantLoad = Code("reentrantLoad")
        /// A load failed a moment ago, and its error is shared: see ``CacheError/underlying``.
        public static let recentFailure = Code("recentFailure")
        /// As many loads run as may, and as many calls wait for their turn.
        public static let tooManyLoads = Code("tooManyLoads")
        /// A load took longer than its policy allows.
        public static let loadTimeout = Code("loadTimeout")
        /// A value does not come back from its codec as it was.
        public static let lossyCodec = Code("lossyCodec")
        /// Two different functions of one cache have the same name.
        public static let duplicateFunction = Code("duplicateFunction")
        /// A codec could not turn a value into bytes.
        public static let encodingFailed = Code("encodingFailed")
    }

    /// The kind of the error.
    public var code: Code
    /// What happened and what to do about it, for a person.
    public var message: String
    /// The error that caused this one, where there is one.
    public var underlying: (any Error)?
    /// The keys that it is about. They are not in the message, since keys are for logs at trace level only.
    public var keys: [StoreKey]

    /// Makes an error.
    public init(_ code: Code, _ message: String, keys: [StoreKey] = [], underlying: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.keys = keys
        self.underlying = underlying
    }
}

extension CacheError: CustomStringConvertible {
    /// The code, the message, the keys and the cause in one line.
    public var description: String {
        let keys = keys.isEmpty ? "" : ": " + keys.map(\.description).joined(separator: " → ")
        let cause = underlying.map { " (\($0))" } ?? ""
        return "\(code): \(message)\(keys)\(cause)"
    }
}

extension CacheError {
    /// So many at the same time: a server acknowledges one after the other, and each has its time from when it was asked.
    private static let atOnce = 64

    /// Does something to each of some things, many at the same time.
    ///
    /// - Throws: when all have ended, the error of the one that failed, with its key; of several, one that has the code
    ///   of the first, all they say, and the keys that they are about.
    static func collecting<Thing: Sendable>(
        _ things: [Thing], key: (Thing) -> StoreKey, _ body: @escaping @Sendable (Thing) async throws -> Void
    ) async throws {
        if things.count == 1 {
            do { return try await body(things[0]) } catch { throw naming([(key(things[0]), error)], of: 1) }
        }
        var failures = [(any Error)?](repeating: nil, count: things.count)
        await withTaskGroup(of: (Int, (any Error)?).self) { group in
            for (index, thing) in things.enumerated() {
                if index >= atOnce, let (done, error) = await group.next() { failures[done] = error }
                group.addTask {
                    do { try await body(thing) } catch { return (index, error) }
                    return (index, nil)
                }
            }
            for await (index, error) in group { failures[index] = error }
        }
        let failed = zip(things, failures).compactMap { thing, error in error.map { (key(thing), $0) } }
        if !failed.isEmpty { throw naming(failed, of: things.count) }
    }

    private static func naming(_ failed: [(key: StoreKey, error: any Error)], of count: Int) -> any Error {
        var messages: [String] = []
        var keys: [StoreKey] = []
        for (key, error) in failed {
            let error = error as? CacheError ?? CacheError(.storeFailure, "\(error)")
            if !messages.contains(error.message) { messages.append(error.message) }
            for key in error.keys.isEmpty ? [key] : error.keys where !keys.contains(key) { keys.append(key) }
        }
        let first = failed[0].error
        guard failed.count > 1 else {
            guard var error = first as? CacheError else { return first }
            error.keys = keys
            return error
        }
        return CacheError(
            (first as? CacheError)?.code ?? .storeFailure,
            "\(failed.count) of \(count) writes failed: \(messages.joined(separator: "; "))", keys: keys,
            underlying: first)
    }
}
