/// The hashes of keys that were evicted, in the order in which that was.
struct GhostQueue {
    private var turns: [Int: Int] = [:]
    private var queue: [(hash: Int, turn: Int)] = []
    private var first = 0
    private var turn = 0

    /// How many entries the queue has, with those that are outdated.
    var entries: Int { queue.count }

    mutating func insert(_ hash: Int, most: Int) {
        turn += 1
        turns[hash] = turn
        queue.append((hash, turn))
        while first < queue.count, turns.count > max(most, 0) || isOutdated(queue[first]) {
            if !isOutdated(queue[first]) { turns[queue[first].hash] = nil }
            first += 1
        }
        // What has been outdated goes when it is most of what there is.
        guard queue.count > 2 * turns.count + 64 else { return }
        queue = queue[first...].filter { !isOutdated($0) }
        first = 0
    }

    /// Whether a hash has been remembered anew, or forgotten, since this turn.
    private func isOutdated(_ ghost: (hash: Int, turn: Int)) -> Bool { turns[ghost.hash] != ghost.turn }

    /// Forgets a hash, and says whether it was remembered.
    mutating func remove(_ hash: Int) -> Bool { turns.removeValue(forKey: hash) != nil }
}
