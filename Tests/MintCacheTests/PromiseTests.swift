import TestSupport
import Testing

@testable import MintCache

@Suite("A promise")
struct PromiseTests {
    @Test("gives its first result to all who wait, before and after")
    func resolves() async throws {
        let promise = Promise<Int>()
        let waiters = (0..<20).map { _ in Task { try await promise.value() } }
        promise.resolve(.success(1))
        promise.resolve(.success(2))
        for waiter in waiters { #expect(try await waiter.value == 1) }
        #expect(try await promise.value() == 1)
    }

    @Test("lets a cancelled waiter go at once and the others wait on")
    func cancellation() async throws {
        let promise = Promise<Int>()
        let cancelled = Task { try await promise.value() }
        let patient = Task { try await promise.value() }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        promise.resolve(.success(3))
        #expect(try await patient.value == 3)
    }

    @Test("throws at once in a task that was cancelled before")
    func cancelledBefore() async throws {
        let promise = Promise<Int>()
        let gate = Gate()
        let task = Task {
            try? await gate.pass()
            return try await promise.value()
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
