import MintCache
import Synchronization

/// The calls that wait for one server, the connections that nobody uses, and the workers that wait for both.
///
/// Tasks push into the inlet and never wait for a lock. A worker that looks for work drains the inlet into the backlog,
/// so that gets which came while it was busy leave together. A worker that sleeps leaves its connection to the others.
// @unchecked: everything below `monitor` is touched by whoever holds it only.
final class CallQueue: @unchecked Sendable {
    /// What a worker is to do next, and on which connection.
    struct Assignment: ~Copyable {
        enum Work: ~Copyable {
            case gets(CallList)
            case write(Call, WriteOperation)
        }

        var work: Work
        var lane: Lane
        /// The drain that the work came with or after.
        var drain: UInt64
    }

    /// A worker that looks for work.
    struct Seeker {
        let worker: Worker.ID
        /// A connection that it has, and on which nothing is under way.
        var lane: Lane?
        /// Whether the server answers, so that asking does not have to wait for it to be reached.
        var isReady = true
        /// The connections on which it has asked.
        var lanesAsked = 0
        /// The calls that are under way on them.
        var underWay = 0
        /// The calls that are answered, and whose tasks it goes on with next.
        var inHand = 0
    }

    /// What may wait for a worker.
    private enum Waiting {
        case nothing
        case gets
        /// And perhaps gets.
        case writes
    }

    /// Where fewer gets wait, two workers would have small batches: the cached functions of 64 tasks made a fifth less
    /// of them than one did.
    private static let manyForTwo = 96
    /// Two workers, each of which takes all that waits, leave fewer to wait than one that takes half of it.
    private static let enoughForTwo = 72

    private let maximumBatch: Int
    private let inlet = CallInlet()
    /// Workers that sleep or are about to.
    private let sleepers = Atomic(0)
    /// Workers that are going to look for work before long.
    private let lookers = Atomic(0)
    /// Whether the worker that looked last was left without work, since it is the reader's or no connection was left.
    /// Whoever reads or has a connection is going to look.
    private let isLeftToOthers = Atomic(false)
    private let shared = Atomic(false)
    private let monitor = Monitor()
    private var backlog = Backlog()
    private var spare: [Lane]
    private var readership = Readership()
    /// The most gets that have waited at once since a worker noted its share of tasks, and between that and the note
    /// before, which may have been another worker's.
    private var mostWaiting = (now: 0, before: 0)
    /// Whether it is worth trying to share the gets: tasks take most of the time, and enough gets wait for two workers.
    private var worthSharing = false
    private var sharing = SharingTrial()
    private var getsTaken = 0

    init(maximumBatch: Int, lanes: [Lane]) {
        self.maximumBatch = maximumBatch
        spare = lanes
    }

    // MARK: For tasks

    /// Queues a call; a closed queue answers it with ``CacheError`` of code `shutDown`.
    func push(_ call: Call) {
        let work: Waiting = call.isWrite ? .writes : .gets
        switch inlet.push(call) {
        case .first: wakeSleeper(for: work)
        case .later: if work == .writes { wakeSleeper(for: work) }
        case .refused:
            let message = "this store was shut down: make a new one, or shut down later"
            call.finish(.failure(CacheError(.shutDown, message)))
        }
    }

    /// Wakes one worker, if any sleeps; for gets only if no other is going to take them. A worker says that it will
    /// sleep, or that it looks now, before it looks into the inlet, and a task pushes before it looks for workers: one
    /// of them sees the other.
    private func wakeSleeper(for work: Waiting) {
        guard work != .nothing, sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return }
        guard work == .writes || !(areLookedFor || isLeftToOthers.load(ordering: .sequentiallyConsistent)) else {
            return
        }
        monitor.locked {}
        monitor.signal()
    }

    // MARK: For workers

    /// The next work for a worker that has none, as soon as there is any and a connection for it; `nil` when the queue
    /// is closed and empty.
    func next(for worker: Worker.ID) -> Assignment? {
        var seeker = Seeker(worker: worker)
        var rest = Waiting.nothing
        let assignment = monitor.locked { () -> Assignment? in
            _ = readership.resign(worker)
            while true {
                drain()
                equip(&seeker)
                if let assignment = takeWork(seeker) {
                    rest = workForAnother
                    return assignment
                }
                strip(&seeker)
                if inlet.isClosed, backlog.isEmpty { return nil }
                isLeftToOthers.store(!backlog.isEmpty, ordering: .sequentiallyConsistent)
                sleepers.add(1, ordering: .sequentiallyConsistent)
                if inlet.isEmpty { monitor.wait() }
                sleepers.subtract(1, ordering: .relaxed)
            }
        }
        wakeSleeper(for: rest)
        // Others may wait for the backlog to be empty before they end.
        if assignment == nil { monitor.broadcast() }
        return assignment
    }

    /// More gets for a worker that is about to wait for others, or to go on with tasks: if there are enough of them,
    /// and no write waits that only it can do. A connection that it brings is taken back otherwise.
    func nextGets(for seeker: Seeker) -> Assignment? {
        var seeker = seeker
        var rest = Waiting.nothing
        let assignment = monitor.locked { () -> Assignment? in
            drain()
            var assignment: Assignment?
            if seeker.isReady, seeker.lanesAsked < lanesForOne {
                if !backlog.hasWrites { equip(&seeker) }
                if !(backlog.isForWrite && spare.isEmpty) {
                    assignment = takeGets(seeker, atLeast: enough(for: seeker))
                }
            }
            if assignment == nil { strip(&seeker) }
            rest = workForAnother
            return assignment
        }
        wakeSleeper(for: rest)
        return assignment
    }

    /// Before it waits any get is enough. While it goes on with tasks more will come: then the server is given
    /// something to do, and more than that only if it is a batch by itself.
    private func enough(for seeker: Seeker) -> Int {
        if seeker.inHand == 0 { return 1 }
        return seeker.lanesAsked == 0 ? Readership.many : maximumBatch
    }

    /// Takes back the connection of a worker.
    func giveBack(_ lane: Lane) {
        let rest = monitor.locked {
            isLeftToOthers.store(false, ordering: .sequentiallyConsistent)
            spare.append(lane)
            return workForAnother
        }
        wakeSleeper(for: rest)
    }

    private func drain() {
        isLeftToOthers.store(false, ordering: .sequentiallyConsistent)
        backlog.add(inlet.takeAll())
    }

    /// Gives a worker a connection for what waits.
    private func equip(_ seeker: inout Seeker) {
        if seeker.lane == nil, !backlog.isEmpty { seeker.lane = spare.popLast() }
    }

    /// Takes its connection back.
    private func strip(_ seeker: inout Seeker) {
        if let lane = seeker.lane.take() { spare.append(lane) }
    }

    /// Gets and writes in turn, but for what the worker leaves to the reader.
    private func takeWork(_ seeker: Seeker) -> Assignment? {
        if backlog.isForWrite, let write = takeWrite(seeker) { return write }
        if let gets = takeGets(seeker, atLeast: 1) { return gets }
        return takeWrite(seeker)
    }

    private func takeWrite(_ seeker: Seeker) -> Assignment? {
        guard let lane = seeker.lane, let (call, operation) = backlog.takeWrite() else { return nil }
        return Assignment(work: .write(call, operation), lane: lane, drain: backlog.drains)
    }

    /// Half of the gets that wait, are under way and in hand, so that the server works on one half while the tasks of
    /// the other go on; all, where another worker has the other half.
    private func takeGets(_ seeker: Seeker, atLeast fewest: Int) -> Assignment? {
        let waiting = backlog.getCount
        mostWaiting.now = max(mostWaiting.now, waiting)
        guard let lane = seeker.lane, waiting >= fewest,
            readership.allows(seeker.worker, toTake: waiting, areLookedFor: areLookedFor)
        else { return nil }
        let own = seeker.underWay + seeker.inHand
        let half = max(Readership.many, (waiting + own + 1) / 2)
        let hasOtherHalf = own > 0 || !isShared
        let calls = backlog.takeGets(atMost: min(hasOtherHalf ? half : waiting, maximumBatch))
        // All may have been cancelled.
        guard !calls.isEmpty else { return nil }
        getsTaken += calls.count
        readership.note(seeker.worker, keepsUp: seeker.lanesAsked + 1 < lanesForOne && !isShared)
        return Assignment(work: .gets(calls), lane: lane, drain: backlog.drains)
    }

    /// What a worker that sleeps could do of the backlog.
    private var workForAnother: Waiting {
        guard !spare.isEmpty else { return .nothing }
        if backlog.hasWrites { return .writes }
        return backlog.getCount > 0 && readership.allowsOthers(toTake: backlog.getCount) ? .gets : .nothing
    }

    /// The most connections that one worker asks on: while the server answers on one, it is asked on the other. Where
    /// others are needed, each has its own.
    private var lanesForOne: Int { isShared ? 1 : 2 }

    /// Whether workers share the gets, each on one connection, instead of leaving them to the reader.
    var isShared: Bool {
        get { shared.load(ordering: .relaxed) }
        set { shared.store(newValue, ordering: .relaxed) }
    }

    /// Notes whether tasks have taken most of a worker's time of late: then two workers may do more than one, if there
    /// are enough gets for both.
    func note(tasksTakeMost: Bool, at time: UInt64) {
        monitor.locked {
            let most = max(mostWaiting.now, mostWaiting.before)
            mostWaiting = (0, mostWaiting.now)
            worthSharing = tasksTakeMost && most >= (worthSharing ? Self.enoughForTwo : Self.manyForTwo)
            if worthSharing { sharing.note(gets: getsTaken, at: time) } else { sharing.stop() }
            isShared = sharing.isShared
        }
    }

    /// Whether a worker is going to look for work before long.
    private var areLookedFor: Bool { lookers.load(ordering: .sequentiallyConsistent) > 0 }

    /// Says that a worker is going to look for work before long, so that no other is woken for gets that come
    /// meanwhile.
    func willLook() { lookers.add(1, ordering: .sequentiallyConsistent) }

    /// Takes that back; the worker looks now.
    func looks() { lookers.subtract(1, ordering: .sequentiallyConsistent) }

    /// Takes that back; the worker does not look.
    func doesNotLook() {
        looks()
        wakeSleeper(for: .gets)
    }

    /// Leaves the gets to others than this worker, which may not look for some time.
    func resign(_ worker: Worker.ID) {
        let rest = monitor.locked { () -> Waiting in
            guard readership.resign(worker) else { return .nothing }
            isLeftToOthers.store(false, ordering: .sequentiallyConsistent)
            return .gets
        }
        wakeSleeper(for: rest)
    }

    /// Takes out a connection that nobody uses.
    func takeSpare() -> Lane? { monitor.locked { spare.popLast() } }

    /// Fails the calls that came with a drain or before: the server did not answer in the time that they have waited
    /// already.
    func fail(through drain: UInt64, _ error: CacheError) {
        while let call = monitor.locked({ backlog.takeFirst(through: drain) }) { call.finish(.failure(error)) }
    }

    // MARK: For both

    /// How many calls wait that nobody has cancelled.
    var waiting: Int {
        monitor.locked {
            // Whoever was woken for what is in the inlet finds it in the backlog.
            backlog.add(inlet.takeAll())
            return backlog.waiting
        }
    }

    /// Whether sharing is on trial, for tests.
    var isWorthSharing: Bool { monitor.locked { worthSharing } }

    /// How many workers sleep, or are about to.
    var sleeping: Int { sleepers.load(ordering: .relaxed) }

    /// Takes no more calls. Workers end when they have done those that wait.
    func close() {
        monitor.locked { backlog.add(inlet.close()) }
        monitor.broadcast()
    }
}
