import MintCache

/// memcached's expiry times: seconds from now up to 30 days, Unix time beyond, 32 bits in all.
enum Expiry {
    private static let longestRelative: Int64 = 30 * 24 * 60 * 60

    /// The number that keeps an item at least for a duration; 0, for ever, for `nil`.
    ///
    /// Rounded up to whole seconds, and one more, because the server's current second may be nearly over. Times that
    /// do not fit into 32 bits, in 2038 and later, become the latest one that does.
    ///
    /// - Throws: ``CacheError`` with code `invalidDuration` for a duration that is not positive.
    static func seconds(for duration: Duration?, now: WallTime) throws -> Int {
        guard let duration else { return 0 }
        guard duration > .zero else {
            throw CacheError(.invalidDuration, "an expiry of \(duration) is not positive: give a longer one, or nil")
        }
        let latest = Int64(Int32.max)
        let (whole, fraction) = duration.attoseconds.quotientAndRemainder(dividingBy: 1_000_000_000_000_000_000)
        let relative = Int64(clamping: min(whole, Int128(latest))) + (fraction > 0 ? 1 : 0) + 1
        guard relative > longestRelative else { return Int(relative) }
        return Int(min(latest, now.microseconds / 1_000_000 + relative))
    }
}
