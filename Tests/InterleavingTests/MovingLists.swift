@testable import MintCache

/// How far each process is in two changes of the list of parts: from list 1 to 2, which has not the first part, and on to
/// 3, which is list 1 again. Each change is announced, made, and the list before forgotten.
final class MovingLists: @unchecked Sendable {
    // @unchecked: all of it happens on one thread.
    static let steps = 6
    static let partCount = 2

    private var steps: [Int]

    init(processes: Int) { steps = Array(repeating: 0, count: processes) }

    func take(_ step: Int, process: Int) { steps[process] = step }

    /// The number of the list that a process reads under.
    func number(process: Int) -> UInt32 { UInt32((steps[process] + 1) / 3 + 1) }

    /// The list that it was told besides.
    private func other(process: Int) -> UInt32? {
        switch steps[process] % 3 {
        case 1: number(process: process) + 1
        case 2: number(process: process) - 1
        default: nil
        }
    }

    /// The part of a key in a list.
    private func part(of key: StoreKey, in list: UInt32) -> Int {
        list == 2 ? 1 : key.bytes.reduce(0) { $0 &+ Int($1) } % Self.partCount
    }

    func part(of key: StoreKey, process: Int) -> Int { part(of: key, in: number(process: process)) }

    /// The parts where any process may read it.
    func parts(of key: StoreKey, process: Int) -> [Int] {
        let here = part(of: key, process: process)
        let elsewhere = other(process: process).map { part(of: key, in: $0) }
        return elsewhere.map { $0 == here ? [here] : [here, $0] } ?? [here]
    }

    /// All parts of the lists that a process was told.
    func parts(process: Int) -> [Int] { steps[process] == 3 ? [1] : [0, 1] }

    func accepts(_ list: UInt32, for key: StoreKey, process: Int) -> Bool {
        list == number(process: process)
            || list == other(process: process) && part(of: key, in: list) == part(of: key, process: process)
    }
}
