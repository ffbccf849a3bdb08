import MintCache

/// Percent-escaping of what may not stand in a key, and of the percent sign itself, so that it can be undone.
enum KeyEscape {
    private static let digits = Array("0123456789ABCDEF".utf8)
    private static let percent = UInt8(ascii: "%")

    static func append(_ byte: UInt8, to bytes: inout [UInt8], reserved: (UInt8) -> Bool = { _ in false }) {
        if StoreKey.allows(byte) && byte != percent && !reserved(byte) {
            bytes.append(byte)
        } else {
            bytes.append(percent)
            bytes.append(digits[Int(byte >> 4)])
            bytes.append(digits[Int(byte & 15)])
        }
    }

    /// Appends in one piece what a text begins with that needs no escape, which mostly is all of it, and returns the
    /// rest.
    static func appendPlain(
        _ text: UnsafeBufferPointer<UInt8>, to bytes: inout [UInt8], reserved: (UInt8) -> Bool
    ) -> Slice<UnsafeBufferPointer<UInt8>> {
        let end = text.firstIndex { !StoreKey.allows($0) || $0 == percent || reserved($0) } ?? text.endIndex
        bytes.append(contentsOf: text[..<end])
        return text[end...]
    }

    static func escape(_ text: String, reserved: (UInt8) -> Bool = { _ in false }) -> [UInt8] {
        var bytes: [UInt8] = []
        for byte in text.utf8 { append(byte, to: &bytes, reserved: reserved) }
        return bytes
    }
}
