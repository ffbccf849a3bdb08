import Foundation
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Numbers in memory that several processes share: all of them are zero in the beginning.
package final class SharedBoard: @unchecked Sendable {
    package struct Failure: Error {}

    private let count: Int
    // @unchecked: the numbers are atomic.
    private let numbers: UnsafeMutablePointer<Atomic<Int>>

    /// Opens the board at a path, or makes it.
    package init(path: String, count: Int) throws {
        self.count = count
        let size = count * MemoryLayout<Int>.stride
        let descriptor = open(path, O_RDWR | O_CREAT, 0o600)
        defer { close(descriptor) }
        guard descriptor >= 0, ftruncate(descriptor, off_t(size)) == 0,
            let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), memory != MAP_FAILED
        else { throw Failure() }
        numbers = memory.bindMemory(to: Atomic<Int>.self, capacity: count)
    }

    deinit { munmap(numbers, count * MemoryLayout<Int>.stride) }

    package subscript(index: Int) -> Int {
        get { numbers[index].load(ordering: .sequentiallyConsistent) }
        set { numbers[index].store(newValue, ordering: .sequentiallyConsistent) }
    }

    /// Adds to a number, and returns what it is then.
    @discardableResult
    package func add(_ change: Int, to index: Int) -> Int {
        numbers[index].add(change, ordering: .sequentiallyConsistent).newValue
    }

    /// Raises a number to at least another one.
    package func raise(_ index: Int, to least: Int) {
        numbers[index].max(least, ordering: .sequentiallyConsistent)
    }
}
