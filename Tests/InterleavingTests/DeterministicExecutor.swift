#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Runs all jobs of Swift concurrency that are meant for the global executor one after the other on one thread, so that
/// what happens depends on nothing but the order in which it is asked for.
///
/// It uses the hook that the concurrency runtime has for this. It takes the jobs of the whole process, so a test that
/// uses it needs a process of its own.
final class DeterministicExecutor: @unchecked Sendable {
    private typealias Original = @convention(thin) (UnownedJob) -> Void
    private typealias Hook = @convention(thin) (UnownedJob, Original) -> Void

    /// Jobs are run as this executor's, so that they are handed to the hook again when they suspend.
    private final class JobExecutor: SerialExecutor {
        func enqueue(_ job: UnownedJob) { DeterministicExecutor.jobs.append(job) }
    }

    // One thread at a time: see `install`.
    private nonisolated(unsafe) static var jobs: [UnownedJob] = []
    private let executor = JobExecutor()
    private let hook: UnsafeMutablePointer<Hook?>

    /// Takes over the global executor.
    init() throws {
        guard let symbol = dlsym(dlopen(nil, RTLD_LAZY), "swift_task_enqueueGlobal_hook") else {
            throw NoHook()
        }
        hook = symbol.assumingMemoryBound(to: Hook?.self)
        hook.pointee = { job, _ in DeterministicExecutor.jobs.append(job) }
    }

    /// Gives the global executor back. What has been enqueued and not run is lost.
    func remove() {
        hook.pointee = nil
        Self.jobs = []
    }

    /// Runs jobs until there is none.
    func drain() {
        var next = 0
        while next < Self.jobs.count {
            let job = Self.jobs[next]
            next += 1
            job.runSynchronously(on: executor.asUnownedSerialExecutor())
        }
        Self.jobs.removeAll(keepingCapacity: true)
    }

    struct NoHook: Error {}
}
