/// A value that can be an argument of a cached function: it has a place in the function's keys.
///
/// Two values that the function treats differently must write different parts. The standard types conform, and so
/// does a `RawRepresentable` type that declares it. A type of one's own names the parts it consists of:
///
/// ```swift
/// extension Point: CacheKeyComponent {
///     func appendCacheKey(to key: inout CacheKeyBuilder) { key.append(x, y) }
/// }
/// ```
public protocol CacheKeyComponent: Sendable {
    /// Appends this value to a key with one call of `append`.
    func appendCacheKey(to key: inout CacheKeyBuilder)
}

/// Writes the arguments of a call into its key as Swift literals.
///
/// Nothing can be written that a store would not take, or that could be mistaken for another argument list: strings
/// are quoted and escaped, a composite stands in parentheses.
public struct CacheKeyBuilder {
    private(set) var bytes: [UInt8]
    /// Parts written into the current place, which takes exactly one.
    @usableFromInline
    var parts = 0
    /// The first type that did not write exactly one part, and how many it wrote.
    @usableFromInline
    var misfit: (type: any Any.Type, parts: Int)?

    @usableFromInline
    init(head: [UInt8]) {
        bytes = []
        bytes.reserveCapacity(head.count + 48)
        bytes.append(contentsOf: head)
    }

    /// What the keys of a function begin with that has one more part before its arguments.
    static func head(_ head: [UInt8], with component: some CacheKeyComponent) throws(CacheError) -> [UInt8] {
        var builder = CacheKeyBuilder(head: head)
        builder.element(component)
        builder.separate()
        try builder.check()
        return builder.bytes
    }

    /// Closes an argument list, and returns the key.
    ///
    /// - Throws: ``CacheError`` with code `invalidKey`.
    @usableFromInline
    consuming func key() throws -> StoreKey {
        try check()
        bytes.append(UInt8(ascii: ")"))
        return KeySpace.key(bytes)
    }

    private func check() throws(CacheError) {
        guard let misfit else { return }
        throw CacheError(
            .invalidKey,
            "\(misfit.type) appended \(misfit.parts) parts to a key: its appendCacheKey(to:) must call append once")
    }

    /// Appends one part: another component's, as it is.
    public mutating func append(_ part: some CacheKeyComponent) {
        part.appendCacheKey(to: &self)
    }

    /// Appends one part made of several: `(1,2)`.
    public mutating func append<each Rest: CacheKeyComponent>(
        _ first: some CacheKeyComponent, _ second: some CacheKeyComponent, _ rest: repeat each Rest
    ) {
        composite("(", ")") { key in
            key.element(first)
            key.separate()
            key.element(second)
            for part in repeat each rest {
                key.separate()
                key.element(part)
            }
        }
    }

    // MARK: For the standard components

    /// Appends a part of text that is a literal by itself, like a number. What separates and encloses parts is
    /// escaped in it.
    mutating func literal(_ text: some StringProtocol) {
        parts += 1
        var text = String(text)
        text.withUTF8 { text in
            for byte in KeyEscape.appendPlain(text, to: &bytes, reserved: Self.isSyntax) {
                KeyEscape.append(byte, to: &bytes, reserved: Self.isSyntax)
            }
        }
    }

    /// Appends an integer. Most keys have one, and a string of its digits would cost as much as all the rest of them.
    mutating func integer(_ number: some FixedWidthInteger) {
        guard var rest = UInt64(exactly: number.magnitude) else { return literal(number.description) }
        parts += 1
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var start = digits.count
            repeat {
                let tens = rest / 10
                start &-= 1
                digits[start] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest &- tens &* 10)
                rest = tens
            } while rest > 0
            bytes.append(contentsOf: digits[start...])
        }
    }

    private static func isSyntax(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "\""), UInt8(ascii: "("), UInt8(ascii: ")"),
            UInt8(ascii: "["), UInt8(ascii: "]"):
            true
        default: false
        }
    }

    /// Appends a quoted string.
    mutating func string(_ text: some StringProtocol) {
        parts += 1
        bytes.append(UInt8(ascii: "\""))
        let isSpecial = { (byte: UInt8) in byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") }
        var text = String(text)
        text.withUTF8 { text in
            for byte in KeyEscape.appendPlain(text, to: &bytes, reserved: isSpecial) {
                if isSpecial(byte) { bytes.append(UInt8(ascii: "\\")) }
                KeyEscape.append(byte, to: &bytes)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Appends a part that encloses others.
    mutating func composite(_ open: StaticString, _ close: StaticString, _ body: (inout CacheKeyBuilder) -> Void) {
        let outer = parts
        syntax(open)
        body(&self)
        syntax(close)
        parts = outer + 1
    }

    /// Appends a part, in parentheses with a marker before them when it would be taken for a literal, or for a marked
    /// part.
    mutating func distinct(
        from literal: StaticString, marker: StaticString, _ part: (inout CacheKeyBuilder) -> Void
    ) {
        let start = bytes.count
        part(&self)
        let written = bytes[start...]
        let markerBytes = UnsafeBufferPointer(start: marker.utf8Start, count: marker.utf8CodeUnitCount)
        let literalBytes = UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount)
        guard written.elementsEqual(literalBytes) || written.starts(with: markerBytes) else { return }
        bytes.insert(contentsOf: markerBytes, at: start)
        syntax(")")
    }

    /// Appends a comma.
    @usableFromInline
    mutating func separate() { bytes.append(UInt8(ascii: ",")) }

    /// Appends one of our own separators.
    mutating func syntax(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends one argument or element, and notes it when it does not write exactly one part.
    @inlinable
    mutating func element<Component: CacheKeyComponent>(_ component: Component) {
        let outer = parts
        parts = 0
        component.appendCacheKey(to: &self)
        if parts != 1, misfit == nil { misfit = (Component.self, parts) }
        parts = outer
    }

    /// Takes over what a part that was written elsewhere did wrong.
    mutating func adopt(_ other: (type: any Any.Type, parts: Int)?) { misfit = misfit ?? other }

    /// Appends already encoded elements.
    mutating func raw(_ encoded: some Sequence<UInt8>) { bytes.append(contentsOf: encoded) }
}
