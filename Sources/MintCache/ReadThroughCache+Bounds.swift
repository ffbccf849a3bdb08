/// How long loads and calls may take, and how many loads may run.
extension ReadThroughCache {
    // MARK: Places

    /// The gates that a load of this entry has to pass.
    ///
    /// - Parameter isPartOfLoad: whether the load which asks for it waits for it: then those that that one has passed are
    ///   left out.
    func gates(of entry: CacheEntry, isPartOfLoad: Bool = true) -> [LoadGate] {
        guard gate != nil || entry.options.gate != nil else { return [] }
        let gates = [entry.options.gate, gate].compactMap(\.self)
        return isPartOfLoad ? gates.filter { !LoadFrame.hasPassed($0) } : gates
    }

    /// A place for a load, when it is its turn.
    ///
    /// - Throws: ``CacheError`` with code `tooManyLoads`, reported; `CancellationError`.
    func placeInTurn(for entry: CacheEntry, _ gates: [LoadGate]) async throws -> LoadPlace {
        do {
            return try await LoadPlace.wait(in: gates, within: entry.policy.longestLease, deadlines)
        } catch let error as CacheError {
            report(.loadRefused, entry, error: error)
            throw error
        }
    }

    // MARK: Time-outs

    /// Runs a loader, and cancels it when its time is over.
    ///
    /// - Throws: ``CacheError`` with code `loadTimeout` then, whether the loader ends or not.
    func withHardTimeout<Value: Sendable>(
        _ timeout: Duration?, _ load: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        guard let timeout else { return try await load() }
        return try await within(timeout, .loadTimeout("a load was cancelled after \(timeout)"), load)
    }

    /// The way of a call that is no hit, for as long as it may wait.
    ///
    /// - Parameter read: `nil` when the store has failed.
    func withinPatience<Value: Sendable>(
        _ read: ReadMachine.Read?, _ entry: CacheEntry, _ coder: any PayloadCoder<Value>,
        _ load: @escaping Loader<Value>
    ) async throws -> Value {
        var read = read
        // Whoever waits no longer is to be served what stands there.
        if entry.policy.loadTimeout.soft != nil, let first = read { read = try await completed(first, entry) }
        let body: @Sendable () async throws -> Value = { [self, read] in
            guard let read else { return try await loadUnleased(entry, coder, load) }
            return try await value(on: read, entry, coder, load)
        }
        guard let patience = entry.policy.loadTimeout.soft else { return try await body() }
        do {
            return try await within(patience, nil, body)
        } catch is Impatience {
            return try valueInHaste(read, entry, coder)
        }
    }

    /// What a call gets that waits no longer.
    func valueInHaste<Value: Sendable>(
        _ read: ReadMachine.Read?, _ entry: CacheEntry, _ coder: any PayloadCoder<Value>
    ) throws -> Value {
        let patience = entry.policy.loadTimeout.soft ?? .zero
        let error = CacheError.loadTimeout("a call has waited \(patience) for a load, which goes on")
        report(.loadTimedOut, entry, error: error)
        guard let read, let record = read.item?.record, case .stamps(let reading) = read.groups,
            !isPending(entry, read)
        else { throw error }
        let machine = ReadMachine(policy: entry.policy, since: clock.elapsed)
        let now = clock.now
        guard
            machine.isServable(record, under: reading, at: now)
                || machine.isServableInError(record, under: reading, at: now) && entry.policy.keeps(after: error),
            isAccepted(record, entry.key), let value = try? coder.decode(record, under: entry.key)
        else { throw error }
        return served(value, .stale, entry, .loadTimeout, of: record)
    }

    /// A call does not wait any longer.
    struct Impatience: Error {}

    /// Does something in a task of its own, which is cancelled when a time is over.
    ///
    /// - Throws: then an error, or ``Impatience``.
    func within<Value: Sendable>(
        _ timeout: Duration, _ error: CacheError?, _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let outcome = Promise<Value>()
        let task = Task(executorPreference: LoadStarter.preferredExecutor) { outcome.resolve(await Result.of(body)) }
        let ticket = deadlines.schedule(after: timeout) {
            outcome.resolve(.failure(error ?? Impatience()))
            task.cancel()
        }
        defer { deadlines.cancel(ticket) }
        return try await withTaskCancellationHandler {
            try await outcome.value()
        } onCancel: {
            task.cancel()
        }
    }
}

extension CacheError {
    /// What a call would fail with if it waited in vain.
    static var loadLimit: CacheError { CacheError(.tooManyLoads, "as many loads run as may") }

    static func loadTimeout(_ what: String) -> CacheError {
        CacheError(.loadTimeout, "\(what): raise loadTimeout, or find out why it takes so long")
    }
}
