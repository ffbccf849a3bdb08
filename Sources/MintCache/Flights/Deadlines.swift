import Synchronization

/// Things to do when a time is over, unless they are called off before. Times are those of the clock that nobody can
/// set.
///
/// One task sleeps for all that wait for the same duration. A `Task.sleep` for each would leave its timer behind for
/// the whole duration although it is cancelled after a moment: at ten thousand loads a second and a lease of thirty
/// seconds that is three hundred thousand of them.
final class Deadlines: Sendable {
    /// What calls an action off.
    struct Ticket: Hashable, Sendable {
        fileprivate let number: UInt64
        fileprivate let duration: Duration
    }

    /// The deadlines of one duration, in the order in which they come.
    private struct Line {
        var waiting: [(ticket: Ticket, deadline: Duration)] = []
        /// How many at the front of `waiting` are done with.
        var done = 0
        /// How many of the rest have not been called off.
        var live = 0
        let task: Task<Void, Never>

        var first: (ticket: Ticket, deadline: Duration)? { done < waiting.count ? waiting[done] : nil }

        mutating func removeFirst() {
            done += 1
            guard done > 64, done > waiting.count / 2 else { return }
            waiting.removeFirst(done)
            done = 0
        }
    }

    private struct State {
        var actions: [Ticket: @Sendable () -> Void] = [:]
        /// A line is there as long as its task is.
        var lines: [Duration: Line] = [:]
        var tickets: UInt64 = 0
    }

    private enum Step {
        case act(@Sendable () -> Void)
        case sleep(Duration)
        case end
    }

    private let clock: any CacheClock
    private let state = Mutex(State())

    init(clock: any CacheClock) { self.clock = clock }

    deinit {
        // Nobody is left to do anything for, and they would sleep for as long as a lease.
        for line in state.withLock(\.lines).values { line.task.cancel() }
    }

    /// Does something when a duration is over.
    func schedule(after duration: Duration, _ action: @escaping @Sendable () -> Void) -> Ticket {
        let deadline = clock.elapsed + duration
        return state.withLock { state in
            state.tickets += 1
            let ticket = Ticket(number: state.tickets, duration: duration)
            state.actions[ticket] = action
            if state.lines[duration] == nil { state.lines[duration] = Line(task: start(duration)) }
            state.lines[duration]?.waiting.append((ticket, deadline))
            state.lines[duration]?.live += 1
            return ticket
        }
    }

    /// Calls an action off, and lets go of it.
    func cancel(_ ticket: Ticket) {
        state.withLock { state in
            guard state.actions.removeValue(forKey: ticket) != nil, var line = state.lines[ticket.duration] else {
                return
            }
            line.live -= 1
            state.lines[ticket.duration]?.live = line.live
            // What was called off goes when it is most of what there is, and not only when its time has come.
            guard line.waiting.count - line.done > 2 * line.live + 64 else { return }
            line.waiting = line.waiting[line.done...].filter { state.actions[$0.ticket] != nil }
            line.done = 0
            state.lines[ticket.duration] = line
        }
    }

    /// Starts the task of a line.
    private func start(_ duration: Duration) -> Task<Void, Never> {
        // Detached: it is nobody's in particular. It keeps nothing but the clock while it sleeps.
        Task.detached { [weak self, clock] in
            while let step = self?.next(duration) {
                switch step {
                case .act(let action): action()
                case .sleep(let remaining): try? await clock.sleep(for: remaining)
                case .end: return
                }
            }
        }
    }

    private func next(_ duration: Duration) -> Step {
        let now = clock.elapsed
        return state.withLock { state in
            while let first = state.lines[duration]?.first {
                if let action = state.actions[first.ticket] {
                    guard first.deadline <= now else { return .sleep(first.deadline - now) }
                    state.actions[first.ticket] = nil
                    state.lines[duration]?.removeFirst()
                    state.lines[duration]?.live -= 1
                    return .act(action)
                }
                state.lines[duration]?.removeFirst()
            }
            state.lines[duration] = nil
            return .end
        }
    }
}
