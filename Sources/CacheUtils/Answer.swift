public import MintCache

/// The answer to a call of a cached function, and where it is from.
public struct Answer<Value> {
    /// The value.
    public var value: Value
    /// Where it is from: the store, the load of this call, the load of another, or what is held for when the store is away.
    public var source: AnswerSource
    /// Whether it is served although it is not fresh any more.
    public var isStale: Bool
    /// How long ago it was loaded; `nil` where that is not known.
    public var age: Duration?
    /// For how long it is fresh still, negative when it is not; `nil` where that is not known, or for a value that was loaded
    /// and is not cached.
    public var freshFor: Duration?

    /// What RFC 9211 has a cache say of a response in the header `Cache-Status`.
    ///
    /// ```swift
    /// response.headers["Cache-Status"] = answer.cacheStatus(of: "shop")     // shop; hit; ttl=376
    /// ```
    ///
    /// - Parameter name: of the cache. Characters that are none of a header's string are left out.
    public func cacheStatus(of name: String) -> String {
        let quoted = name.unicodeScalars.filter { (0x20..<0x7F).contains($0.value) }.map { scalar in
            scalar == "\"" || scalar == "\\" ? "\\\(scalar)" : "\(scalar)"
        }
        let isToken =
            name.first.map { $0.isASCII && ($0.isLetter || $0 == "*") } == true
            && name.unicodeScalars.allSatisfy { isTokenScalar($0) }
        var parts = [isToken ? name : "\"\(quoted.joined())\""]
        let isHit = source == .store || source == .held
        parts.append(isHit ? "hit" : "fwd=miss")
        if source == .load, freshFor != nil { parts.append("stored") }
        if source == .sharedLoad { parts.append("collapsed") }
        if let freshFor { parts.append("ttl=\(freshFor.wholeSeconds)") }
        if source == .held { parts.append("detail=held") }
        return parts.joined(separator: "; ")
    }

    /// What RFC 9111 has a cache say in the header `Age`: whole seconds; `nil` where that is not known, or for a value that was
    /// loaded for this answer.
    public var ageHeader: String? {
        guard let age, source == .store || source == .held else { return nil }
        return "\(max(0, age.wholeSeconds))"
    }
}

extension Answer: Sendable where Value: Sendable {}

/// Whether a character may stand in a token of RFC 8941, anywhere but at its start.
private func isTokenScalar(_ scalar: Unicode.Scalar) -> Bool {
    scalar.isASCII
        && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
            || "!#$%&'*+-.^_`|~:/".unicodeScalars.contains(scalar))
}

extension Duration {
    fileprivate var wholeSeconds: Int64 { components.seconds }
}
