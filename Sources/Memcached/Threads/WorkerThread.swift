#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import MintCache

/// A thread that blocks, so that no task has to.
// @unchecked: the identifier, a pointer on Darwin, is only ever handed back to pthread functions.
struct WorkerThread: @unchecked Sendable {
    private let identifier: pthread_t

    /// Starts a thread.
    ///
    /// - Throws: ``CacheError`` with code `storeFailure` when the system has no thread to give.
    init(_ body: @escaping @Sendable () -> Void) throws {
        let box = Unmanaged.passRetained(Box(body))
        #if canImport(Darwin)
        var identifier: pthread_t?
        #else
        var identifier = pthread_t()
        #endif
        let code = pthread_create(&identifier, nil, Self.main, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw CacheError(.storeFailure, "no thread could be started (error \(code)): use fewer connections")
        }
        #if canImport(Darwin)
        guard let identifier else { throw CacheError(.storeFailure, "no thread could be started") }
        #endif
        self.identifier = identifier
    }

    /// Blocks until the thread has ended, and frees what it took.
    func join() { pthread_join(identifier, nil) }

    /// Lets the thread free what it took when it ends.
    func detach() { pthread_detach(identifier) }

    private final class Box: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    #if canImport(Darwin)
    private static let main: @convention(c) (UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? = { run($0) }
    #else
    private static let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { run($0) }
    #endif

    private static func run(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
    }
}
