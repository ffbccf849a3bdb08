import Foundation

/// Processes whose output is JSON.
enum ChildProcess {
    /// Runs so many at the same time and decodes what they print.
    static func outputs<Output: Decodable & Sendable>(
        of number: Int, _ program: String, _ arguments: [String], as type: Output.Type
    ) async throws -> [Output] {
        try await withThrowingTaskGroup(of: Output.self) { group in
            for _ in 0..<number {
                group.addTask { try await output(of: program, arguments, as: type) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    static func output<Output: Decodable & Sendable>(
        of program: String, _ arguments: [String], as type: Output.Type
    ) async throws -> Output {
        let data = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Data, any Error>) in
            // Reading and waiting block, so a thread does it.
            Thread.detachNewThread { continuation.resume(with: Result { try run(program, arguments) }) }
        }
        return try JSONDecoder().decode(type, from: data)
    }

    private static func run(_ program: String, _ arguments: [String]) throws -> Data {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw BenchFailure("\(program) \(arguments.joined(separator: " ")) ended with \(process.terminationStatus)")
        }
        return data
    }
}
