public import Logging

/// What the lines of a cache carry besides their message.
enum LogMetadata {
    /// The name of the cached function.
    static let function = "cache.function"
    /// The store key: it has arguments in it, and is marked as sensitive.
    static let key = "cache.key"
    /// What goes wrong.
    static let reason = "cache.reason"
    /// Whether all loads had ended.
    static let loadsEnded = "cache.loads.ended"
    /// How many invalidations are pending.
    static let pending = "cache.invalidations.pending"
    /// How often it did since that was said last.
    static let count = "cache.count"
}

/// Marks the metadata of a log line that may be data of users: store keys, which have the arguments of calls in them.
///
/// ```swift
/// if value.attributes[CacheLogSensitivity.self] == .sensitive { redact() }
/// ```
public struct CacheLogSensitivity: RawRepresentable, Logger.MetadataValueAttributes.Attribute, Sendable, Hashable {
    /// The number that stands for it in a line's attributes.
    public let rawValue: Int64

    /// Makes one of its number; `nil` for any but 1.
    public init?(rawValue: Int64) {
        guard rawValue == 1 else { return nil }
        self.rawValue = rawValue
    }

    private init() { rawValue = 1 }

    /// It may be data of users.
    public static let sensitive = CacheLogSensitivity()
}
