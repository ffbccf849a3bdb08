import MintCache

/// A place in a program where tasks stop until a test lets them go on.
public final class Gate: Sendable {
    private let reached = Promise<Void>()
    private let opened = Promise<Void>()

    /// Makes a gate that is closed.
    public init() {}

    /// Stops here until the gate is open.
    ///
    /// - Throws: `CancellationError` as soon as the task is cancelled.
    public func pass() async throws {
        reached.resolve(.success(()))
        try await opened.value()
    }

    /// Returns as soon as a task stands at the gate.
    public func arrival() async throws { try await reached.value() }

    /// A gate that stands open.
    public static var opened: Gate {
        let gate = Gate()
        gate.open()
        return gate
    }

    /// Opens it: whoever stands there goes on, and nobody stops there any more.
    public func open() { opened.resolve(.success(())) }
}
