/// The decisions of one schedule: random ones from a seed, or a recording that is played again.
struct Choices {
    private(set) var made: [Int] = []
    private var recording: [Int]?
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    /// Plays decisions again; past their end every decision is 0, which is the dullest one.
    init(recording: [Int]) {
        self.recording = recording
        state = 1
    }

    /// One of so many.
    mutating func choose(_ count: Int) -> Int {
        let choice: Int
        if let recording {
            choice = made.count < recording.count ? recording[made.count] % max(count, 1) : 0
        } else {
            choice = Int(random() % UInt64(max(count, 1)))
        }
        made.append(choice)
        return choice
    }

    /// True once in so many times.
    mutating func oneIn(_ count: Int) -> Bool { choose(count) == count - 1 }

    /// xorshift64* of Marsaglia and Vigna.
    private mutating func random() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return (state &* 0x2545_F491_4F6C_DD1D) >> 16
    }
}
