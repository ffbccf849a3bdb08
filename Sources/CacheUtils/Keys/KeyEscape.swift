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

    static func escape(_ text: String, reserved: (UInt8) -> Bool = { _ in false }) -> [UInt8] {
        var bytes: [UInt8] = []
        for byte in text.utf8 { append(byte, to: &bytes, reserved: reserved) }
        return bytes
    }
}
