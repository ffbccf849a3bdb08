import Foundation

/// The version of each row, in memory that all processes share, and when the last ones were written, for a replica that
/// lags. Each row has one process that writes it.
final class SharedDatabase: @unchecked Sendable {
    static let rows = 2400
    /// How many versions of a row are remembered.
    private static let remembered = 16
    private static let size = rows * (1 + remembered)
    private let versions: UnsafeMutablePointer<Int64>

    /// Opens the database, or makes it, with all versions 0.
    init(path: String) throws {
        let size = Self.size * MemoryLayout<Int64>.size
        let descriptor = open(path, O_RDWR | O_CREAT, 0o600)
        guard descriptor >= 0, ftruncate(descriptor, off_t(size)) == 0,
            let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), memory != MAP_FAILED
        else { throw TortureFailure("no shared memory at \(path)") }
        close(descriptor)
        versions = memory.bindMemory(to: Int64.self, capacity: Self.size)
    }

    func version(of row: Int) -> Int64 { versions[row] }

    /// What a replica says that lags by so many nanoseconds.
    func version(of row: Int, lag: Int64) -> Int64 {
        let (newest, now) = (versions[row], monotonicNow())
        let oldest = max(0, newest - Int64(Self.remembered) + 2)
        var version = newest
        while version > oldest, versions[time(of: version, row)] + lag > now { version -= 1 }
        return version
    }

    func change(_ row: Int) -> Int64 {
        let next = versions[row] + 1
        versions[time(of: next, row)] = monotonicNow()
        versions[row] = next
        return next
    }

    /// Where the time of a version is.
    private func time(of version: Int64, _ row: Int) -> Int {
        Self.rows + row * Self.remembered + Int(version) % Self.remembered
    }
}

/// Why the torture could not go on.
struct TortureFailure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}
