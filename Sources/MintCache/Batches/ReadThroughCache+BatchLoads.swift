/// How elements of a batch are loaded that do not take their leases together.
extension ReadThroughCache {
    /// How many elements are loaded at a time where there is no loader of many.
    private static let loadsAtATime = 16

    /// Has elements go their way alone, all at the same time: most wait for the load of another. What they load
    /// themselves is bounded.
    func loadAlone<Value>(_ misses: [BatchMiss], _ call: BatchCall<Value>) async throws {
        let turns = LoadGate(Self.loadsAtATime, longestLine: .max)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for miss in misses {
                let (entry, load) = (call.entry(miss.number), call.loader.one(miss.number))
                let inTurn: Loader<Value> = { [self] in
                    try await turns.enter(within: entry.policy.longestLease, deadlines)
                    defer { turns.leave() }
                    return try await load()
                }
                group.addTask {
                    try await self.set(miss.number, call) {
                        guard let read = miss.read else {
                            return try await self.loadUnleased(entry, call.coder, inTurn)
                        }
                        return try await self.value(on: read, entry, call.coder, inTurn)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Loads elements one by one, so many at a time, where there is no loader of many.
    func loadEach<Value>(_ misses: [BatchMiss], _ call: BatchCall<Value>) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (started, miss) in misses.enumerated() {
                let isLate = started >= Self.loadsAtATime
                if isLate { try await group.next() }
                let (entry, load) = (call.entry(miss.number), call.loader.one(miss.number))
                group.addTask {
                    try await self.set(miss.number, call) {
                        // What was read before the others were waited for may be outdated.
                        if isLate { return try await self.value(of: entry, call.coder, load: load) }
                        guard let read = miss.read else {
                            return try await self.loadUnleased(entry, call.coder, load)
                        }
                        return try await self.value(on: read, entry, call.coder, load)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func set<Value>(
        _ number: Int, _ call: BatchCall<Value>, _ body: () async throws -> Value
    ) async throws {
        do { call.results.set(number, .success(try await body())) } catch {
            try Task.checkCancellation()
            call.results.set(number, .failure(error))
        }
    }

    /// Loads elements that nothing in the store vouches for, together.
    func loadUnleased<Value>(_ elements: [BatchUnleased], _ call: BatchCall<Value>) async throws {
        let elements = elements.compactMap { element -> BatchUnleased? in
            var element = element
            if isDisabled { element.reason = .disabled }
            let entry = call.entry(element.number)
            if element.reason == .storeTrouble, let held: Value = heldValue(of: entry) {
                call.results.set(element.number, .success(held))
                return nil
            }
            do { try LoadFrame.check(entry.key, of: self) } catch {
                call.results.set(element.number, .failure(error))
                return nil
            }
            return element
        }
        guard !elements.isEmpty else { return }
        let (numbers, entries) = (elements.map(\.number), elements.map { call.entry($0.number) })
        do {
            let gates = gates(of: entries[0])
            let isAlone = gates.count < self.gates(of: entries[0], isPartOfLoad: false).count
            let loaded = try await unleased.value(
                of: entries.map(\.key), in: self, bound: call.policy.leaseFor, start: .forCaller, isAlone: isAlone
            ) { [self] in
                let (order, began) = (held.order, clock.elapsed)
                let place = try await placeInTurn(for: entries[0], gates)
                let loaded = try await run(
                    { try await self.loadMany(numbers, call) }, for: entries, place,
                    isSettling: elements.contains(where: \.isSettling))
                for (element, (entry, result)) in zip(elements, zip(entries, loaded.value)) {
                    guard loaded.reported == nil, element.reason == .storeTrouble, !element.isSettling,
                        case .success(let value) = result
                    else { continue }
                    hold(loaded: value, entry, call.coder, order, since: began)
                }
                return loaded.value.map { $0.map(\.value) }
            }
            for (element, result) in zip(elements, loaded) {
                if case .success = result { report(.miss, call.entry(element.number), reason: element.reason) }
                call.results.set(element.number, result)
            }
        } catch {
            try Task.checkCancellation()
            for number in numbers { call.results.set(number, .failure(error)) }
        }
    }
}

/// An element that is loaded although nothing in the store vouches for that.
struct BatchUnleased: Sendable {
    var number: Int
    var reason: CacheEvent.Reason?
    var isSettling = false
}

extension BatchUnleased {
    init(_ miss: BatchMiss, reason: CacheEvent.Reason?, at now: WallTime) {
        self.init(number: miss.number, reason: reason, isSettling: miss.read?.isSettling(at: now) ?? false)
    }
}
