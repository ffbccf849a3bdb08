#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import MintCache

/// Threads that block, so that no task has to.
enum BlockingThread {
    private final class Box: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// In bytes.
    private static let stackSize = 2 * 1024 * 1024

    /// Starts a thread, which frees what it took when it ends.
    ///
    /// - Throws: ``CacheError`` with code `storeFailure` when the system has no thread to give.
    static func start(_ body: @escaping @Sendable () -> Void) throws {
        let box = Unmanaged.passRetained(Box(body))
        #if canImport(Darwin)
        var identifier: pthread_t?
        #else
        var identifier = pthread_t()
        #endif
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        // Callers' tasks run here too. musl's threads have 128 KB otherwise, and Darwin's 512.
        pthread_attr_setstacksize(&attributes, stackSize)
        #if canImport(Darwin)
        pthread_attr_set_qos_class_np(&attributes, QOS_CLASS_USER_INITIATED, 0)
        #endif
        let code = pthread_create(&identifier, &attributes, main, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw CacheError(.storeFailure, "no thread could be started (error \(code)): use fewer connections")
        }
        #if canImport(Darwin)
        if let identifier { pthread_detach(identifier) }
        #else
        pthread_detach(identifier)
        #endif
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
