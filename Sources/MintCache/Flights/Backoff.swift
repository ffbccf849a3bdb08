/// Pauses between tries, each twice as long as the one before.
struct Backoff: Sendable {
    private var pause: Duration
    private let longest: Duration

    init(first: Duration, longest: Duration) {
        pause = first
        self.longest = longest
    }

    /// The pause before the next try.
    mutating func next() -> Duration {
        defer { pause = min(pause * 2, longest) }
        return pause
    }
}
