/// Finds out by trying whether two workers that share the gets make more of them than one.
///
/// It depends on the machine. Where memcached is elsewhere, or answers out of its processor's cache, the second worker
/// has a core to itself; where it shares one with a server whose values fill the cache, both are slower for it. So now
/// and then the other way is tried for one epoch, and kept if it makes more than the epoch before. A trial that was in
/// vain doubles the time until the next one.
struct SharingTrial {
    /// In nanoseconds.
    static let epoch: UInt64 = 10_000_000
    /// How many epochs there are before a trial, at least and at most: a second and a half.
    static let patience = 8...128
    /// By how much a trial has to be better, or chance would decide.
    private static let margin = 1.05

    private(set) var isShared = false
    private var isTrial = false
    /// When the epoch began, and how many gets there had been by then.
    private var began: (time: UInt64, gets: Int)?
    /// Gets for each nanosecond of the last epoch that was no trial.
    private var usualRate = 0.0
    private var epochs = 0
    private var patience = Self.patience.lowerBound

    /// Ends a trial: there is nothing to share.
    mutating func stop() {
        isShared = false
        isTrial = false
        began = nil
    }

    /// Notes how many gets there have been up to a time.
    mutating func note(gets: Int, at time: UInt64) {
        guard let began else {
            self.began = (time, gets)
            return
        }
        // Threads read the clock before they have the lock.
        guard time > began.time, time - began.time >= Self.epoch else { return }
        let rate = Double(gets - began.gets) / Double(time - began.time)
        self.began = (time, gets)
        if isTrial {
            endTrial(rate)
        } else {
            usualRate = rate
            epochs += 1
            guard epochs >= patience else { return }
            isTrial = true
            isShared.toggle()
        }
    }

    private mutating func endTrial(_ rate: Double) {
        isTrial = false
        epochs = 0
        if rate > usualRate * Self.margin {
            patience = Self.patience.lowerBound
        } else {
            isShared.toggle()
            patience = min(patience * 2, Self.patience.upperBound)
        }
    }
}
