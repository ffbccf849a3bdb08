import Synchronization

/// Where the answer to a call is from.
public struct AnswerSource: Sendable, Hashable, CustomStringConvertible {
    /// The name of the source.
    public let description: String

    private init(_ description: String) { self.description = description }

    /// The store.
    public static let store = AnswerSource("store")
    /// The load of the call itself.
    public static let load = AnswerSource("load")
    /// A load that it shares with another call.
    public static let sharedLoad = AnswerSource("shared load")
    /// What this process holds for when the store is away.
    public static let held = AnswerSource("held")
}

/// What is known of an answer: where it is from, and how old it is.
public struct AnswerProvenance: Sendable {
    /// Where it is from.
    public var source: AnswerSource
    /// Whether it is served although it is not fresh.
    public var isStale: Bool
    /// When it was loaded, which is when its load ended; `nil` when that is not known.
    public var age: Duration?
    /// For how long it is fresh still; negative when it is not any more, `nil` when that is not known or it is not cached.
    public var freshFor: Duration?
}

/// Takes a note of where the answer to one call is from.
final class AnswerNote: Sendable {
    @TaskLocal static var current: AnswerNote?

    private let noted = Mutex<AnswerProvenance?>(nil)

    var provenance: AnswerProvenance? { noted.withLock(\.self) }

    func note(_ source: AnswerSource, isStale: Bool = false, age: Duration? = nil, freshFor: Duration? = nil) {
        let provenance = AnswerProvenance(source: source, isStale: isStale, age: age, freshFor: freshFor)
        noted.withLock { $0 = provenance }
    }
}

extension ReadThroughCache {
    /// As ``value(of:_:load:)``, and where the value is from.
    public func answer<Value: Sendable>(
        of entry: CacheEntry, _ coder: any PayloadCoder<Value>, load: @escaping Loader<Value>
    ) async throws -> (value: Value, provenance: AnswerProvenance) {
        let note = AnswerNote()
        let value = try await AnswerNote.$current.withValue(note) {
            let order = held.order
            guard let answer = try await ask(for: entry) else {
                return try await withinPatience(nil, entry, coder, load)
            }
            do {
                let value = try hit(in: answer, entry, coder, order)
                if let item = answer.item,
                    case .value(let record)? = EnvelopeCoding.envelope(in: item.value, for: entry.key)
                {
                    self.note(record, isStale: false)
                }
                if entry.policy.audit != nil { audit(value, entry, coder, load) }
                return value
            } catch let noHit as NoHit {
                return try await withinPatience(noHit.read, entry, coder, load)
            }
        }
        return (value, note.provenance ?? AnswerProvenance(source: .load, isStale: false))
    }

    // MARK: Serving

    /// Reports that a call is served, and takes a note of it.
    func served<Value>(
        _ value: Value, _ kind: CacheEvent.Kind, _ entry: CacheEntry, _ reason: CacheEvent.Reason? = nil,
        of record: CachedRecord? = nil, isShared: Bool = false
    ) -> Value {
        if let record { note(record, isStale: kind == .stale) }
        report(kind, entry, reason: reason, isShared: isShared)
        return value
    }

    /// The same of a value that was loaded.
    func served<Value>(
        _ landed: LandedValue<Value>, _ entry: CacheEntry, _ reason: CacheEvent.Reason?, isShared: Bool = false
    ) -> Value {
        AnswerNote.current?.note(isShared ? .sharedLoad : .load, age: .zero, freshFor: landed.freshFor)
        return served(landed.value, .miss, entry, reason, isShared: isShared)
    }

    private func note(_ record: CachedRecord, isStale: Bool) {
        guard let note = AnswerNote.current else { return }
        let now = clock.now
        note.note(
            .store, isStale: isStale, age: max(.zero, now - record.createdAt),
            freshFor: isStale ? min(.zero, record.freshUntil - now) : record.freshUntil - now)
    }
}
