/// The codec of a `Codable` type that was given none: direct where the type is, an optional's from what it wraps,
/// JSON for the rest.
func defaultCodec<Value: Codable>(for type: Value.Type) -> any CacheCodec<Value> {
    let found: Any? =
        switch type {
        case let type as any DirectlyCoded.Type: directCodec(for: type)
        case let type as any OptionalValue.Type: type.codec
        default: nil
        }
    return found as? any CacheCodec<Value> ?? JSONCodec<Value>()
}

private func directCodec<Value: DirectlyCoded>(for type: Value.Type) -> Any { DirectCodec<Value>() }

private func anyCodec<Value: Codable>(for type: Value.Type) -> Any { defaultCodec(for: type).optional }

/// An optional of any type.
protocol OptionalValue {
    var isNil: Bool { get }
    static var codec: Any? { get }
}

extension Optional: OptionalValue {
    var isNil: Bool { self == nil }

    /// The codec of this optional type, an `any CacheCodec<Self>`.
    static var codec: Any? {
        guard let wrapped = Wrapped.self as? any Codable.Type else { return nil }
        return anyCodec(for: wrapped)
    }
}
