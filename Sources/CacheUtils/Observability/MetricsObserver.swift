import CoreMetrics
import MintCache
import Synchronization

/// Counts what happens in a cache, and passes every event on.
final class MetricsObserver: CacheObserver {
    /// So many functions are told apart; those beyond are counted as one, since their names may be made from data.
    static let mostFunctions = 200
    static let otherFunctions = "other"
    /// How often gauges are set.
    static let interval = Duration.seconds(10)

    /// The metrics of functions by their names. A table is never changed: whoever adds a function makes another one.
    private final class Table: Sendable {
        let functions: [String: FunctionMetrics]
        /// Of all functions that are not in it, when it has as many as there may be.
        let others: FunctionMetrics?

        init(_ functions: [String: FunctionMetrics]) {
            self.functions = functions
            others = functions.count > mostFunctions ? functions[otherFunctions] : nil
        }
    }

    private let names: CacheMetrics.Names
    private let namespace: String
    private let factory: any MetricsFactory
    private let next: any CacheObserver
    /// All tables that there were: who reads one counts no reference to it. They are few, since functions are.
    private let tables: Mutex<[Table]>
    private let current: Atomic<Unmanaged<Table>>

    init(_ names: CacheMetrics.Names, namespace: String, _ factory: any MetricsFactory, next: (any CacheObserver)?) {
        self.names = names
        self.namespace = namespace
        self.factory = factory
        self.next = next ?? NoObserver()
        let none = Table([:])
        tables = Mutex([none])
        current = Atomic(.passUnretained(none))
    }

    func record(_ event: CacheEvent) {
        metrics(of: event.function).record(event)
        next.record(event)
    }

    /// The metrics of a function, made once.
    private func metrics(of function: String) -> FunctionMetrics {
        let known = current.load(ordering: .acquiring)._withUnsafeGuaranteedRef { $0.functions[function] ?? $0.others }
        return known ?? add(function)
    }

    private func add(_ function: String) -> FunctionMetrics {
        tables.withLock { tables in
            var functions = tables.last?.functions ?? [:]
            if let known = functions[function] { return known }
            let isOneMore = functions.count >= Self.mostFunctions
            if isOneMore, let others = functions[Self.otherFunctions] { return others }
            let name = isOneMore ? Self.otherFunctions : function
            let metrics = FunctionMetrics(
                names,
                [(names.namespace, namespace), (names.function, name.isEmpty ? "value" : name)], factory)
            functions[name] = metrics
            let table = Table(functions)
            tables.append(table)
            current.store(.passUnretained(table), ordering: .releasing)
            return metrics
        }
    }

    // MARK: Gauges

    /// Sets the gauges every few seconds, for as long as the cache is there.
    func sample(_ engine: ReadThroughCache, _ store: any CacheStore, clock: any CacheClock) {
        let dimensions = [(names.namespace, namespace)]
        let pending = Gauge(label: names.pendingInvalidations, dimensions: dimensions, factory: factory)
        let entries = (store as? InMemoryStore).map { store in
            (store: store, gauge: Gauge(label: names.entries, dimensions: dimensions, factory: factory))
        }
        Task.detached(priority: .background) { [weak engine] in
            repeat {
                guard let engine else { return }
                pending.record(engine.pendingInvalidations.count)
                if let entries { entries.gauge.record(entries.store.count) }
            } while (try? await clock.sleep(for: Self.interval)) != nil
        }
    }
}

/// The metrics of one cached function, made once.
private final class FunctionMetrics: Sendable {
    private let names: CacheMetrics.Names
    private let dimensions: [(String, String)]
    private let factory: any MetricsFactory
    // Each hit counts here.
    private let hits: Counter
    private let loadDuration: Timer
    /// By their labels and their dimension.
    private let counters = Mutex<[[String]: Counter]>([:])

    init(_ names: CacheMetrics.Names, _ dimensions: [(String, String)], _ factory: any MetricsFactory) {
        self.names = names
        self.dimensions = dimensions
        self.factory = factory
        hits = Counter(
            label: names.requests, dimensions: dimensions + [(names.result, "hit")], factory: factory)
        loadDuration = Timer(label: names.loadDuration, dimensions: dimensions, factory: factory)
    }

    func record(_ event: CacheEvent) {
        switch event.kind {
        case .hit: hits.increment()
        case .stale: count(names.requests, names.result, "stale")
        case .held: count(names.requests, names.result, "held")
        case .miss:
            let result = event.reason == .storeTrouble ? "store_error" : event.isShared ? "shared" : "miss"
            count(names.requests, names.result, result)
        case .loaded: record(event.duration)
        case .loadFailed:
            record(event.duration)
            count(names.loadsFailed)
        case .fillDropped: count(names.fillsDropped, names.reason, "overtaken")
        case .notCached:
            count(names.fillsDropped, names.reason, (event.error as? CacheError)?.code.description ?? "error")
        case .mismatch: count(names.mismatches, names.reason, event.reason == .expired ? "stale" : "wrong")
        case .invalidation: count(names.invalidations, names.state, "sent")
        case .invalidationFailed: count(names.invalidations, names.state, "failed")
        case .invalidationLost: count(names.invalidations, names.state, "lost")
        default: break
        }
    }

    private func record(_ duration: Duration?) {
        guard let duration else { return }
        loadDuration.recordNanoseconds(Int64(clamping: duration.attoseconds / 1_000_000_000))
    }

    private func count(_ label: String, _ dimension: String? = nil, _ value: String = "") {
        counters.withLock { counters in
            let id = [label, value]
            if let known = counters[id] { return known }
            let counter = Counter(
                label: label, dimensions: dimensions + (dimension.map { [($0, value)] } ?? []), factory: factory)
            counters[id] = counter
            return counter
        }.increment()
    }
}
