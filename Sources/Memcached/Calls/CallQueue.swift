import MintCache
import Synchronization

/// The calls that wait for one server, the connections that nobody uses, and the workers that wait for both.
///
/// Tasks push into the inlet and never wait for a lock. A worker that looks for work drains the inlet into the backlog,
/// so that gets which came while it was busy leave together. A worker that sleeps leaves its connection to the others.
// @unchecked: everything below `monitor` is touched by whoever holds it only.
final class CallQueue: @unchecked Sendable {
    /// What a worker is to do next, and on which connection.
    struct Assignment {
        enum Work {
            case gets([Call])
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
        /// A connection that it has already.
        var lane: Lane?
        /// The connections on which its gets are under way.
        var lanesAsked = 0
        /// The calls that are under way, and those that are answered and whose tasks it goes on with next.
        var callsInHand = 0
    }

    let maximumBatch: Int
    private let inlet = CallInlet()
    /// Workers that sleep or are about to.
    private let sleepers = Atomic(0)
    /// Workers that are going to look for work before long.
    private let lookers = Atomic(0)
    /// Whether a worker that looked last was left without work, because another one is going to do it.
    private let isLeftToOthers = Atomic(false)
    private let taskBound = Atomic(false)
    private let monitor = Monitor()
    private var backlog = Backlog()
    private var spare: [Lane]
    private var readership = Readership()

    init(maximumBatch: Int, lanes: [Lane]) {
        self.maximumBatch = maximumBatch
        spare = lanes
    }

    // MARK: For tasks

    /// Queues a call; a closed queue answers it with ``CacheError`` of code `shutDown`.
    func push(_ call: Call) {
        let isWrite = call.isWrite
        switch inlet.push(call) {
        case .first: wakeSleeper(thoughOthersLook: isWrite)
        case .later: if isWrite { wakeSleeper(thoughOthersLook: true) }
        case .refused:
            let message = "this store was shut down: make a new one, or shut down later"
            call.finish(.failure(CacheError(.shutDown, message)))
        }
    }

    /// Wakes one worker, if any sleeps and no other is going to look. A worker says that it will sleep, or that it looks
    /// now, before it looks into the inlet, and a task pushes before it looks for workers: one of them sees the other.
    private func wakeSleeper(thoughOthersLook: Bool = false) {
        guard sleepers.load(ordering: .sequentiallyConsistent) > 0,
            thoughOthersLook || lookers.load(ordering: .sequentiallyConsistent) == 0,
            !isLeftToOthers.load(ordering: .sequentiallyConsistent)
        else { return }
        monitor.locked {}
        monitor.signal()
    }

    // MARK: For workers

    /// The next work for a worker that has none, as soon as there is any and a connection for it; `nil` when the queue is
    /// closed and empty.
    func next(for seeker: Seeker) -> Assignment? {
        var seeker = seeker
        let (assignment, isMoreLeft) = monitor.locked { () -> (Assignment?, Bool) in
            readership.resign(seeker.worker)
            while true {
                drain()
                takeSpare(for: &seeker)
                if let assignment = takeWrite(seeker) ?? takeGets(seeker, atLeast: 1) {
                    return (assignment, hasWorkForAnother)
                }
                giveBack(&seeker)
                if inlet.isClosed, backlog.isEmpty { return (nil, false) }
                isLeftToOthers.store(!backlog.isEmpty, ordering: .sequentiallyConsistent)
                sleepers.add(1, ordering: .sequentiallyConsistent)
                if inlet.isEmpty { monitor.wait() }
                sleepers.subtract(1, ordering: .relaxed)
            }
        }
        if isMoreLeft { wakeSleeper() }
        // Others may wait for the backlog to be empty before they end.
        if assignment == nil { monitor.broadcast() }
        return assignment
    }

    /// More gets for a worker that has others under way or in hand: if there are enough, and it is not the turn of a write.
    /// A connection that it brings is taken back otherwise.
    func nextGets(for seeker: Seeker, atLeast fewest: Int) -> Assignment? {
        var seeker = seeker
        let (assignment, isMoreLeft) = monitor.locked { () -> (Assignment?, Bool) in
            drain()
            if seeker.lanesAsked < lanesForOne, !backlog.hasWrites { takeSpare(for: &seeker) }
            let assignment = backlog.isForWrite ? nil : takeGets(seeker, atLeast: fewest)
            if assignment == nil { giveBack(&seeker) }
            return (assignment, hasWorkForAnother)
        }
        if isMoreLeft { wakeSleeper() }
        return assignment
    }

    private func drain() {
        isLeftToOthers.store(false, ordering: .sequentiallyConsistent)
        backlog.add(inlet.takeAll())
    }

    private func takeSpare(for seeker: inout Seeker) {
        if seeker.lane == nil, !backlog.isEmpty { seeker.lane = spare.popLast() }
    }

    private func giveBack(_ seeker: inout Seeker) {
        if let lane = seeker.lane.take() { spare.append(lane) }
    }

    private func takeWrite(_ seeker: Seeker) -> Assignment? {
        guard backlog.isForWrite, let lane = seeker.lane, let (call, operation) = backlog.takeWrite() else { return nil }
        return Assignment(work: .write(call, operation), lane: lane, drain: backlog.drains)
    }

    /// Half of the gets that wait, are under way and in hand, so that the server works on one half while the tasks of the
    /// other go on.
    private func takeGets(_ seeker: Seeker, atLeast fewest: Int) -> Assignment? {
        let waiting = backlog.getCount
        guard let lane = seeker.lane, waiting >= fewest,
            readership.allows(
                seeker.worker, toTake: waiting, readerLooks: lookers.load(ordering: .sequentiallyConsistent) > 0)
        else { return nil }
        let half = max(Readership.many, (waiting + seeker.callsInHand + 1) / 2)
        let calls = backlog.takeGets(atMost: min(seeker.callsInHand == 0 && isTaskBound ? waiting : half, maximumBatch))
        readership.note(seeker.worker, keepsUp: seeker.lanesAsked + 1 < lanesForOne && !isTaskBound)
        return Assignment(work: .gets(calls), lane: lane, drain: backlog.drains)
    }

    /// Whether a worker that sleeps could do some of the backlog.
    private var hasWorkForAnother: Bool {
        !spare.isEmpty && (backlog.hasWrites || readership.allowsOthers(toTake: backlog.getCount))
    }

    /// The most connections that one worker asks on: while the server answers on one, it is asked on the other. Where
    /// others are needed, each has its own.
    private var lanesForOne: Int { isTaskBound ? 1 : 2 }

    /// Whether tasks take most of the workers' time, so that one worker does not keep up where two would.
    var isTaskBound: Bool {
        get { taskBound.load(ordering: .relaxed) }
        set { taskBound.store(newValue, ordering: .relaxed) }
    }

    /// Says that a worker is going to look for work before long, so that no other is woken for what comes meanwhile.
    func willLook() { lookers.add(1, ordering: .sequentiallyConsistent) }

    /// Takes that back. The worker looks now, or has resigned.
    func looks() { lookers.subtract(1, ordering: .sequentiallyConsistent) }

    /// Leaves the gets to others than this worker, which may not look for some time.
    func resign(_ worker: Worker.ID) {
        monitor.locked {
            readership.resign(worker)
            isLeftToOthers.store(false, ordering: .sequentiallyConsistent)
        }
        wakeSleeper()
    }

    func giveBack(_ lane: Lane) { 
        let more = monitor.locked { spare.append(lane)
          return hasWorkForAnother
        }
        if more { wakeSleeper() }
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
            backlog.add(inlet.takeAll())
            return backlog.waiting
        }
    }

    /// Takes no more calls. Workers end when they have done those that wait.
    func close() {
        monitor.locked { backlog.add(inlet.close()) }
        monitor.broadcast()
    }
}
