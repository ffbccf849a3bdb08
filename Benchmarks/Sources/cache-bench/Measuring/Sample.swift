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
    /// Nanoseconds of every sixteenth operation of each caller, so that measuring costs little of what is measured.
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

/// One caller's loop: counts its operations and times every sixteenth.
struct Meter {
    private(set) var operations = 0
    /// A list and not a histogram: a thousand histograms would push what is measured out of the processor's caches.
    private(set) var latencies: [UInt64] = []
    private let end: UInt64
    private var began: UInt64 = 0

    init(until end: UInt64) { self.end = end }

    /// Whether to go on; called before each operation.
    mutating func begin() -> Bool {
        guard operations & 15 == 0 else { return true }
        began = Self.now()
        return began < end
    }

    /// Called after each operation, which may have been several at once.
    mutating func end(operations: Int = 1) {
        if self.operations & 15 == 0 { latencies.append(Self.now() - began) }
        self.operations += operations
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
    /// One operation, of a caller and with a number that counts up.
    var operation: @Sendable (_ caller: Int, _ number: Int) async throws -> Void

    func run(seconds: Double) async throws -> Sample {
        try await sample(seconds: seconds) { end in
            try await withThrowingTaskGroup(of: Meter.self) { group in
                for caller in 0..<callers {
                    group.addTask {
                        var meter = Meter(until: end)
                        var number = 0
                        while meter.begin() {
                            try await operation(caller, number)
                            meter.end()
                            number += 1
                        }
                        return meter
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }
    }
}
