/// Something that holds for any bytes. `make test` tries it with many and with the corpus, `make fuzz` looks for bytes for
/// which it does not hold.
struct Property: Sendable {
    let name: String
    /// What is wrong for some bytes; `nil` where it holds. It must not trap either.
    let flaw: @Sendable ([UInt8]) -> String?

    static let all = [envelope, generation, key, address] + codecs
}

/// Bytes as a sequence of choices. After the last one all are zero.
struct Choices {
    private var bytes: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

    mutating func byte() -> UInt8 { bytes.popFirst() ?? 0 }

    mutating func number(below limit: UInt8) -> UInt8 { byte() % limit }

    mutating func integer<Number: FixedWidthInteger>(_: Number.Type = Number.self) -> Number {
        (0..<MemoryLayout<Number>.size).reduce(0) { number, _ in number << 8 | Number(truncatingIfNeeded: byte()) }
    }

    /// Up to 15 bytes, repaired where they are no UTF-8; now and then up to 300.
    mutating func text() -> String {
        let choice = byte()
        let count = choice >= 250 ? Int(choice) + Int(number(below: 50)) : Int(choice % 16)
        defer { bytes = bytes.dropFirst(count) }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    mutating func rest() -> [UInt8] {
        defer { bytes = [] }
        return Array(bytes)
    }
}
