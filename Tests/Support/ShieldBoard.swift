/// What the processes of `ShieldUnderLoadTests` tell each other.
package struct ShieldBoard: Sendable {
    package static let processes = 8
    package static let tasks = 64
    package static let keys = 200
    /// The most loads of a process at a time.
    package static let mostLoads = 4

    /// What the database does, and whether callers call.
    package enum Mode: Int { case quick, slow, dead, over }

    /// What is counted of each process.
    package enum Count: Int, CaseIterable { case running, mostRunning, loads, served, dead, refused, wrong }

    private let board: SharedBoard

    package init(path: String) throws {
        board = try SharedBoard(path: path, count: 1 + Self.processes * Count.allCases.count)
    }

    package var mode: Mode {
        get { Mode(rawValue: board[0]) ?? .over }
        nonmutating set { board[0] = newValue.rawValue }
    }

    private func index(_ count: Count, of process: Int) -> Int { 1 + process * Count.allCases.count + count.rawValue }

    package func note(_ count: Count, of process: Int) { board.add(1, to: index(count, of: process)) }

    /// A load of a process begins.
    package func begin(_ process: Int) {
        note(.loads, of: process)
        let running = board.add(1, to: index(.running, of: process))
        board.raise(index(.mostRunning, of: process), to: running)
    }

    package func end(_ process: Int) { board.add(-1, to: index(.running, of: process)) }

    /// Of all processes, each by itself.
    package func counts(_ count: Count) -> [Int] {
        (0..<Self.processes).map { board[index(count, of: $0)] }
    }

    package func sum(_ count: Count) -> Int { counts(count).reduce(0, +) }

    /// How many calls have ended.
    package var calls: Int { [Count.served, .dead, .refused, .wrong].map(sum).reduce(0, +) }
}
