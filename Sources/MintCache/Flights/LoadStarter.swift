/// How the task of a load is started.
struct LoadStarter: Sendable {
    /// Whether the load is to be stored whoever waits for it.
    let isBackground: Bool
    private let start: @Sendable (_ body: @escaping @Sendable () async -> Void) -> Task<Void, Never>

    func callAsFunction(_ body: @escaping @Sendable () async -> Void) -> Task<Void, Never> { start(body) }

    /// For a caller that waits: with its task-local values, its priority and the executor that it prefers.
    static let forCaller = LoadStarter(isBackground: false) { body in
        Task(executorPreference: preferredExecutor) { await body() }
    }

    /// For a refresh that nobody waits for and that may outlive the caller's request: with its priority and executor,
    /// and of its task-local values only those that the context carries over.
    static func inBackground(_ context: BackgroundContext) -> LoadStarter {
        LoadStarter(isBackground: true) { body in
            let rebind = context.capture()
            return Task.detached(executorPreference: preferredExecutor, priority: Task.currentPriority) {
                await rebind(body)
            }
        }
    }

    /// The executor that the current task prefers. Unstructured tasks do not inherit it by themselves.
    static var preferredExecutor: (any TaskExecutor)? {
        #if compiler(>=6.3)
        if #available(macOS 26.4, iOS 26.4, tvOS 26.4, watchOS 26.4, visionOS 26.4, *) {
            return withUnsafeCurrentTask { $0?.unownedTaskExecutor?.asTaskExecutor() }
        }
        #endif
        return nil
    }
}

/// What a background refresh takes over from the call that began it: nothing, unless it is told.
///
/// A background refresh may run when the request that began it is long over, and must not use its database connection
/// or its open span. So its task inherits no task-local values. Swift cannot pick some of them, but code that knows
/// them can:
///
/// ```swift
/// BackgroundContext {
///     let context = ServiceContext.current
///     return { refresh in await ServiceContext.$current.withValue(context) { await refresh() } }
/// }
/// ```
public struct BackgroundContext: Sendable {
    /// Runs a refresh with the values that were captured.
    public typealias Rebind = @Sendable (_ refresh: @Sendable () async -> Void) async -> Void

    let capture: @Sendable () -> Rebind

    /// Makes a context.
    ///
    /// - Parameter capture: is called in the task of the call, to take what the refresh is to have.
    public init(_ capture: @escaping @Sendable () -> Rebind) { self.capture = capture }

    /// Nothing is taken over.
    public static let none = BackgroundContext { { refresh in await refresh() } }
}
