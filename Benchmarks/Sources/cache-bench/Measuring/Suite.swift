import Foundation

/// A subject under the name that it has in the report.
struct Scenario: Sendable {
    var name: String
    var subject: any Subject
}

/// The samples of all scenarios, round by round.
struct Measurements: Sendable {
    private(set) var scenarios: [Scenario] = []
    /// For each scenario a sample for each round.
    private(set) var samples: [String: [Sample]] = [:]

    /// Runs every scenario once in each round, so that whatever disturbs the machine disturbs all of them.
    mutating func measure(
        _ scenarios: [Scenario], rounds: Int, seconds: Double, progress: Progress
    ) async throws {
        self.scenarios += scenarios
        for round in 1...rounds {
            for scenario in scenarios {
                progress.show("round \(round) of \(rounds): \(scenario.name)", next: seconds)
                samples[scenario.name, default: []].append(try await scenario.subject.run(seconds: seconds))
            }
        }
    }

    /// The median over the rounds of something of a scenario.
    func median(of name: String, _ value: (Sample) -> Double) -> Double {
        cache_bench.median(samples[name, default: []].map(value))
    }

    func operationsPerSecond(_ name: String) -> Double { median(of: name, \.operationsPerSecond) }

    func microseconds(_ name: String, percentile: Double) -> Double {
        median(of: name) { $0.microseconds(percentile: percentile) }
    }

    /// The ratio of something of two scenarios, taken in each round by itself.
    func ratio(
        _ name: String, _ goal: Goal, _ numerator: @escaping (Round) -> Double,
        to denominator: @escaping (Round) -> Double
    ) -> Ratio {
        let rounds = samples.values.map(\.count).min() ?? 0
        let values = (0..<rounds).map { index -> Double in
            let round = Round(samples: samples.mapValues { $0[index] })
            return numerator(round) / denominator(round)
        }
        return Ratio(name: name, goal: goal, values: values)
    }
}

/// The samples of one round.
struct Round {
    var samples: [String: Sample]
}

/// What a ratio should be.
enum Goal: Sendable {
    case atLeast(Double)
    case atMost(Double)

    func isMet(by value: Double) -> Bool {
        switch self {
        case .atLeast(let limit): value >= limit
        case .atMost(let limit): value <= limit
        }
    }

    var text: String {
        switch self {
        case .atLeast(let limit): "≥ \(limit)"
        case .atMost(let limit): "≤ \(limit)"
        }
    }
}

/// A ratio in every round.
struct Ratio: Sendable {
    var name: String
    var goal: Goal
    var values: [Double]

    var median: Double { cache_bench.median(values) }
    var isMet: Bool { goal.isMet(by: median) }
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    let middle = sorted.count / 2
    return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
}

/// A line that says what runs and how long the rest will take.
final class Progress: Sendable {
    private let began = ContinuousClock.now
    private let total: Double

    /// - Parameter total: the seconds that everything will take.
    init(total: Double) { self.total = total }

    func show(_ text: String, next seconds: Double = 0) {
        guard isatty(2) == 1 else { return }
        let elapsed = (ContinuousClock.now - began) / .seconds(1)
        let left = max(seconds, total - elapsed)
        let line = "\r\u{1B}[2K\(text), \(Int(left / 60)) min \(Int(left) % 60) s left"
        FileHandle.standardError.write(Data(line.utf8))
    }

    func clear() {
        if isatty(2) == 1 { FileHandle.standardError.write(Data("\r\u{1B}[2K".utf8)) }
    }
}
