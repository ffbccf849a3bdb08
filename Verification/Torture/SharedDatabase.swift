import Foundation

/// The version of each row, in memory that all processes share. Each row has one process that writes it.
final class SharedDatabase: @unchecked Sendable {
    static let rows = 2400
    private let versions: UnsafeMutablePointer<Int64>

    /// Opens the database, or makes it, with all versions 0.
    init(path: String) throws {
        let size = Self.rows * MemoryLayout<Int64>.size
        let descriptor = open(path, O_RDWR | O_CREAT, 0o600)
        guard descriptor >= 0, ftruncate(descriptor, off_t(size)) == 0,
            let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), memory != MAP_FAILED
        else { throw TortureFailure("no shared memory at \(path)") }
        close(descriptor)
        versions = memory.bindMemory(to: Int64.self, capacity: Self.rows)
    }

    func version(of row: Int) -> Int64 { versions[row] }

    func change(_ row: Int) -> Int64 {
        versions[row] += 1
        return versions[row]
    }
}

/// Why the torture could not go on.
struct TortureFailure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}
