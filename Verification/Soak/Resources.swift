import Foundation

/// What this process takes at a moment.
struct Resources {
    var residentBytes: Int
    var openFiles: Int
    var threads: Int

    /// As the kernel says; `nil` on systems without `/proc`.
    static var now: Resources? {
        guard let status = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
            let pages = status.split(separator: " ").dropFirst().first.flatMap({ Int($0) }),
            let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count,
            let threads = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count
        else { return nil }
        return Resources(residentBytes: pages * Int(getpagesize()), openFiles: files, threads: threads)
    }
}
