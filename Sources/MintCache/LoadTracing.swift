/// Runs what loads values, for spans around it.
public protocol LoadTracing: Sendable {
    /// Runs a load, and returns or throws what that does.
    ///
    /// - Parameters:
    ///   - function: the name of the cached function; empty for a value by key.
    ///   - count: how many values are loaded.
    func trace<Loaded: Sendable>(
        _ function: String, count: Int, _ load: @Sendable () async throws -> Loaded
    ) async throws -> Loaded
}

/// No spans.
struct NoLoadTracing: LoadTracing {
    func trace<Loaded: Sendable>(
        _ function: String, count: Int, _ load: @Sendable () async throws -> Loaded
    ) async throws -> Loaded {
        try await load()
    }
}
