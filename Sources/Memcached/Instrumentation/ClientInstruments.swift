import CoreMetrics
import MintCache
import Synchronization
#if Tracing
import Tracing
#endif

/// What a server is asked for, as metrics and spans call it.
enum ClientOperation: String, CaseIterable {
    case get, set, add, cas, delete
    case flush = "flush_all"

    init(_ write: WriteOperation) {
        self =
            switch write {
            case .set: .set
            case .add: .add
            case .compareAndSwap: .cas
            case .delete: .delete
            case .flush: .flush
            }
    }
}

/// The metrics and spans of one server, made once.
final class ClientInstruments: Sendable {
    private let metrics: ServerMetrics?
    #if Tracing
    private let spans: ServerSpans?
    #endif

    /// - Returns: `nil` where nobody counts or traces.
    init?(_ instrumentation: MemcachedInstrumentation, _ server: MemcachedServer) {
        metrics = instrumentation.metrics.flatMap { ServerMetrics($0, server) }
        #if Tracing
        spans = instrumentation.tracing.flatMap { ServerSpans($0, server) }
        if metrics == nil, spans == nil { return nil }
        #else
        if metrics == nil { return nil }
        #endif
    }

    /// Does an operation and tells what came of it. Not inlined: most stores have no instruments, and all that this needs
    /// would be in the frame of each call.
    @inline(never)
    func observe<Reply: Sendable>(
        _ operation: ClientOperation, _ body: () async throws -> Reply
    ) async throws -> Reply {
        let began = Ticks.now
        do {
            let reply = try await inSpan(operation, body)
            metrics?.note(operation, nanoseconds: Ticks.now - began)
            return reply
        } catch {
            metrics?.note(operation, nanoseconds: Ticks.now - began, error: error.metricType)
            throw error
        }
    }

    private func inSpan<Reply: Sendable>(
        _ operation: ClientOperation, _ body: () async throws -> Reply
    ) async throws -> Reply {
        #if Tracing
        if let spans { return try await spans.span(operation, body) }
        #endif
        return try await body()
    }

    /// An exchange begins.
    func noteExchange(calls: Int) { metrics?.batchSize.record(calls) }

    /// Sets the gauges.
    func sample(waiting: Int, isAvailable: Bool) {
        metrics?.waiting.record(waiting)
        metrics?.available.record(isAvailable ? 1 : 0)
    }
}

extension Error {
    /// What the dimension of an error says: codes are few.
    fileprivate var metricType: String {
        switch self {
        case let error as CacheError: error.code.description
        case is CancellationError: "cancelled"
        default: "_OTHER"
        }
    }
}

/// The metrics of one server.
private final class ServerMetrics: Sendable {
    let batchSize: Recorder
    let waiting: Gauge
    let available: Gauge
    private let names: MemcachedMetrics.Names
    private let dimensions: [(String, String)]
    private let factory: any MetricsFactory
    /// By the places of the operations among all.
    private let durations: [Timer]
    private let failures = Mutex<[[String]: Timer]>([:])

    init?(_ metrics: MemcachedMetrics, _ server: MemcachedServer) {
        let factory = metrics.factory ?? MetricsSystem.factory
        if factory is NOOPMetricsHandler { return nil }
        let names = metrics.names
        let (address, port) = server.addressAndPort
        let place = [(names.address, address)] + (port.map { [(names.port, "\($0)")] } ?? [])
        let dimensions = [(names.system, "memcached")] + place
        batchSize = Recorder(label: names.batchSize, dimensions: place, factory: factory)
        waiting = Gauge(label: names.waiting, dimensions: place, factory: factory)
        available = Gauge(label: names.available, dimensions: place, factory: factory)
        durations = ClientOperation.allCases.map { operation in
            Timer(
                label: names.operationDuration, dimensions: dimensions + [(names.operation, operation.rawValue)],
                factory: factory)
        }
        (self.names, self.dimensions, self.factory) = (names, dimensions, factory)
    }

    func note(_ operation: ClientOperation, nanoseconds: UInt64, error: String? = nil) {
        let timer = error.map { failure(operation, $0) } ?? durations[operation.place]
        timer.recordNanoseconds(Int64(clamping: nanoseconds))
    }

    private func failure(_ operation: ClientOperation, _ error: String) -> Timer {
        failures.withLock { failures in
            let id = [operation.rawValue, error]
            if let known = failures[id] { return known }
            let timer = Timer(
                label: names.operationDuration,
                dimensions: dimensions + [(names.operation, operation.rawValue), (names.error, error)],
                factory: factory)
            failures[id] = timer
            return timer
        }
    }
}

extension ClientOperation {
    fileprivate var place: Int {
        switch self {
        case .get: 0
        case .set: 1
        case .add: 2
        case .cas: 3
        case .delete: 4
        case .flush: 5
        }
    }
}

#if Tracing
/// The spans of one server.
private final class ServerSpans: Sendable {
    private let names: MemcachedTracing.Names
    private let tracer: any Tracer
    private let address: String
    private let port: UInt16?

    init?(_ tracing: MemcachedTracing, _ server: MemcachedServer) {
        let tracer = tracing.tracer ?? InstrumentationSystem.tracer
        if tracer is NoOpTracer { return nil }
        self.tracer = tracer
        names = tracing.names
        (address, port) = server.addressAndPort
    }

    func span<Reply: Sendable>(
        _ operation: ClientOperation, _ body: () async throws -> Reply
    ) async throws -> Reply {
        try await tracer.withAnySpan(operation.rawValue, ofKind: .client) { span in
            span.updateAttributes { attributes in
                attributes[names.system] = "memcached"
                attributes[names.operation] = operation.rawValue
                attributes[names.address] = address
                if let port { attributes[names.port] = Int(port) }
            }
            do { return try await body() } catch {
                span.attributes[names.error] = error.metricType
                throw error
            }
        }
    }
}
#endif
