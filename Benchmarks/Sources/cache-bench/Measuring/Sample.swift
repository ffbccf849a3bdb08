import Histogram

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What one run of one subject came to.
struct Sample: Sendable {
    var operations = 0
    var seconds = 0.0
    /// Processor time of this process, all its threads together.
    var processorSeconds = 0.0
    /// Round trips to the store, where they are counted.
    var roundTrips: Int?
    /// Nanoseconds of every sixteenth round of each caller, so that measuring costs little of what is measured.
    var latencies = Histogram<UInt32>(highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .two)

    var operationsPerSecond: Double { seconds > 0 ? Double(operations) / seconds : 0 }

    var roundTripsEach: Double { roundTrips.map { Double($0) / Double(operations) } ?? .nan }

    var processorMicroseconds: Double { operations > 0 ? processorSeconds * 1e6 / Double(operations) : 0 }

    func microseconds(percentile: Double) -> Double { Double(latencies.valueAtPercentile(percentile)) / 1000 }

    /// Adds what a caller did.
    mutating func add(_ caller: Meter) {
        operations += caller.operations
        for latency in caller.latencies { latencies.record(latency) }
    }
}

/// One caller's loop: counts its rounds and times every sixteenth.
///
/// ```swift
/// while let round = meter.next() { … }
/// ```
struct Meter {
    /// A list and not a histogram: a thousand histograms would push what is measured out of the processor's caches.
    private(set) var latencies: [UInt64] = []
    private let end: UInt64
    private let operationsEach: Int
    private var rounds = 0
    private var began: UInt64 = 0

    /// - Parameter operationsEach: how many operations one round is.
    init(until end: UInt64, operationsEach: Int = 1) {
        self.end = end
        self.operationsEach = operationsEach
    }

    /// Operations of all rounds, once ``next()`` has returned `nil`.
    var operations: Int { rounds * operationsEach }

    /// Ends the round, and returns the number of the next one; `nil` when the time is over.
    mutating func next() -> Int? {
        if rounds & 15 == 1 { latencies.append(Self.now() - began) }
        if rounds & 15 == 0 {
            began = Self.now()
            guard began < end else { return nil }
        }
        defer { rounds += 1 }
        return rounds
    }

    /// Nanoseconds of the clock that does not jump.
    static func now() -> UInt64 { read(CLOCK_MONOTONIC) }

    /// Nanoseconds of processor time that this process has used.
    static func processorTime() -> UInt64 { read(CLOCK_PROCESS_CPUTIME_ID) }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// Runs callers until an end and adds up what they did, which takes no part in what is measured.
func sample(seconds: Double, _ callers: (_ end: UInt64) async throws -> [Meter]) async rethrows -> Sample {
    let began = Meter.now()
    let processorBegan = Meter.processorTime()
    let meters = try await callers(began + UInt64(seconds * 1e9))
    var total = Sample()
    total.seconds = Double(Meter.now() - began) / 1e9
    total.processorSeconds = Double(Meter.processorTime() - processorBegan) / 1e9
    for meter in meters { total.add(meter) }
    return total
}

/// Something that is measured. It is set up once and run many times, in turn with others.
protocol Subject: Sendable {
    /// What is measured, `store` for example.
    var name: String { get }
    /// How many callers there are at once: tasks, or threads for the blocking clients.
    var callers: Int { get }

    /// Runs for a time.
    func run(seconds: Double) async throws -> Sample
}

/// A subject whose callers are tasks.
struct TaskSubject: Subject {
    var name: String
    var callers: Int
    /// How many operations one round of a caller is.
    var operationsEach = 1
    /// The loop of a caller. All of it and not one round, which would be a call and a frame of the harness's own each
    /// time.
    var loop: @Sendable (_ caller: Int, _ meter: inout Meter) async throws -> Void

    func run(seconds: Double) async throws -> Sample {
        try await sample(seconds: seconds) { end in
            try await withThrowingTaskGroup(of: Meter.self) { group in
                for caller in 0..<callers {
                    group.addTask {
                        var meter = Meter(until: end, operationsEach: operationsEach)
                        try await loop(caller, &meter)
                        return meter
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }
    }
}
