/// What an invalidation is about: a value, or a group by its generation key, in all parts of the store or in one.
package struct InvalidationTarget: Sendable {
    package enum Kind: Sendable, Hashable {
        case value
        case group
        case groupIn(part: StorePart.ID)
    }

    let kind: Kind
    let key: StoreKey
    /// The name of the cached function, for events.
    let function: String

    package static func value(_ key: StoreKey, of function: String = "") -> Self {
        Self(kind: .value, key: key, function: function)
    }

    package static func group(_ key: StoreKey) -> Self { Self(kind: .group, key: key, function: "") }

    package static func group(_ key: StoreKey, in part: StorePart.ID) -> Self {
        Self(kind: .groupIn(part: part), key: key, function: "")
    }
}

extension InvalidationTarget: Hashable {
    /// Whether they are about the same, whatever the names.
    package static func == (left: Self, right: Self) -> Bool { left.kind == right.kind && left.key == right.key }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(key)
    }
}
