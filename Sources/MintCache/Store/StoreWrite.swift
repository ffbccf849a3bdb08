/// What became of a write that depends on what stands under its key.
public struct StoreWrite: Sendable, Hashable {
    private enum Outcome: Hashable {
        case stored(StoreItem.CAS?)
        case notStored
        case gone
    }

    private let outcome: Outcome

    private init(_ outcome: Outcome) { self.outcome = outcome }

    /// The value was stored, with this CAS id where the store can tell it.
    public static func stored(_ cas: StoreItem.CAS? = nil) -> StoreWrite { StoreWrite(.stored(cas)) }

    /// Something else stands under the key.
    public static let notStored = StoreWrite(.notStored)

    /// Nothing stands under the key: the value was stored and is lost already, or was not stored.
    public static let gone = StoreWrite(.gone)

    /// Whether the value was stored and nothing is known to have become of it.
    public var isStored: Bool {
        if case .stored = outcome { true } else { false }
    }

    /// The CAS id of what was stored, where the store can tell it.
    public var cas: StoreItem.CAS? {
        if case .stored(let cas) = outcome { cas } else { nil }
    }
}
