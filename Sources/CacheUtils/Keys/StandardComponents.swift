#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

extension String: CacheKeyComponent {
    /// Writes `"text"`.
    public func appendCacheKey(to key: inout CacheKeyBuilder) { key.string(self) }
}

extension Substring: CacheKeyComponent {
    /// Writes `"text"`.
    public func appendCacheKey(to key: inout CacheKeyBuilder) { key.string(self) }
}

extension Character: CacheKeyComponent {
    /// Writes `"c"`.
    public func appendCacheKey(to key: inout CacheKeyBuilder) { key.string(String(self)) }
}

extension Bool: CacheKeyComponent {
    /// Writes `true` or `false`.
    public func appendCacheKey(to key: inout CacheKeyBuilder) { key.literal(self ? "true" : "false") }
}

extension CacheKeyComponent where Self: FixedWidthInteger {
    /// Writes the number.
    public func appendCacheKey(to key: inout CacheKeyBuilder) { key.integer(self) }
}

extension CacheKeyComponent where Self: LosslessStringConvertible & Numeric {
    /// Writes the number, with all the digits that tell it from others.
    public func appendCacheKey(to key: inout CacheKeyBuilder) { key.literal(description) }
}

extension Int: CacheKeyComponent {}
extension Int8: CacheKeyComponent {}
extension Int16: CacheKeyComponent {}
extension Int32: CacheKeyComponent {}
extension Int64: CacheKeyComponent {}
extension UInt: CacheKeyComponent {}
extension UInt8: CacheKeyComponent {}
extension UInt16: CacheKeyComponent {}
extension UInt32: CacheKeyComponent {}
extension UInt64: CacheKeyComponent {}
extension Float: CacheKeyComponent {}
extension Double: CacheKeyComponent {}

extension UUID: CacheKeyComponent {
    /// Writes the UUID as text.
    public func appendCacheKey(to key: inout CacheKeyBuilder) { key.literal(uuidString) }
}

extension Date: CacheKeyComponent {
    /// Writes the seconds since 2001-01-01T00:00:00Z, the only form that loses nothing: `Date(785532374.25)`.
    public func appendCacheKey(to key: inout CacheKeyBuilder) {
        key.composite("Date(", ")") { $0.element(timeIntervalSinceReferenceDate) }
    }
}

extension CacheKeyComponent where Self: RawRepresentable, RawValue: CacheKeyComponent {
    /// Writes the raw value.
    public func appendCacheKey(to key: inout CacheKeyBuilder) { key.append(rawValue) }
}

extension Optional: CacheKeyComponent where Wrapped: CacheKeyComponent {
    /// Writes `nil` or the value. A value that is itself written `nil`, like the inner one of a nested optional, is
    /// written `some(nil)`.
    public func appendCacheKey(to key: inout CacheKeyBuilder) {
        guard let self else { return key.literal("nil") }
        key.distinct(from: "nil", marker: "some(") { $0.append(self) }
    }
}

extension Array: CacheKeyComponent where Element: CacheKeyComponent {
    /// Writes `[1,2]`.
    public func appendCacheKey(to key: inout CacheKeyBuilder) {
        key.composite("[", "]") { key in
            for (index, element) in enumerated() {
                if index > 0 { key.separate() }
                key.element(element)
            }
        }
    }
}

extension Set: CacheKeyComponent where Element: CacheKeyComponent {
    /// Writes `[1,2]`, in the order of the written elements, so that equal sets write the same.
    public func appendCacheKey(to key: inout CacheKeyBuilder) {
        key.composite("[", "]") { key in
            key.sorted(map { element in { $0.element(element) } })
        }
    }
}

extension Dictionary: CacheKeyComponent where Key: CacheKeyComponent, Value: CacheKeyComponent {
    /// Writes `["a":1,"b":2]`, in the order of the written pairs, so that equal dictionaries write the same.
    public func appendCacheKey(to key: inout CacheKeyBuilder) {
        key.composite("[", "]") { key in
            guard !isEmpty else { return key.syntax(":") }
            key.sorted(
                map { pair in
                    { key in
                        key.element(pair.key)
                        key.syntax(":")
                        key.element(pair.value)
                    }
                })
        }
    }
}

extension CacheKeyBuilder {
    /// Appends elements in the order of their bytes.
    fileprivate mutating func sorted(_ elements: [(inout CacheKeyBuilder) -> Void]) {
        let encoded = elements.map { element in
            var builder = CacheKeyBuilder(head: [])
            element(&builder)
            return builder
        }
        adopt(encoded.lazy.compactMap(\.misfit).first)
        for (index, part) in encoded.map(\.bytes).sorted(by: { $0.lexicographicallyPrecedes($1) }).enumerated() {
            if index > 0 { separate() }
            raw(part)
        }
    }
}
