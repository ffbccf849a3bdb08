/// The 32-bit xxHash of Yann Collet, as its specification 0.1.1 has it.
///
/// It is not a cryptographic hash: it finds bytes that were damaged or swapped, not bytes that were forged.
package enum XXHash32 {
    private static let prime1: UInt32 = 0x9E37_79B1
    private static let prime2: UInt32 = 0x85EB_CA77
    private static let prime3: UInt32 = 0xC2B2_AE3D
    private static let prime4: UInt32 = 0x27D4_EB2F
    private static let prime5: UInt32 = 0x1656_67B1

    package static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt32) -> UInt32 {
        var offset = 0
        var hash: UInt32
        if bytes.count >= 16 {
            var (first, second, third, fourth) = (seed &+ prime1 &+ prime2, seed &+ prime2, seed, seed &- prime1)
            while offset &+ 16 <= bytes.count {
                first = round(first, word(bytes, offset))
                second = round(second, word(bytes, offset &+ 4))
                third = round(third, word(bytes, offset &+ 8))
                fourth = round(fourth, word(bytes, offset &+ 12))
                offset &+= 16
            }
            hash = rotate(first, 1) &+ rotate(second, 7) &+ rotate(third, 12) &+ rotate(fourth, 18)
        } else {
            hash = seed &+ prime5
        }
        hash &+= UInt32(truncatingIfNeeded: bytes.count)
        while offset &+ 4 <= bytes.count {
            hash = rotate(hash &+ word(bytes, offset) &* prime3, 17) &* prime4
            offset &+= 4
        }
        while offset < bytes.count {
            hash = rotate(hash &+ UInt32(bytes[offset]) &* prime5, 11) &* prime1
            offset &+= 1
        }
        hash = (hash ^ (hash &>> 15)) &* prime2
        hash = (hash ^ (hash &>> 13)) &* prime3
        return hash ^ (hash &>> 16)
    }

    private static func round(_ lane: UInt32, _ word: UInt32) -> UInt32 {
        rotate(lane &+ word &* prime2, 13) &* prime1
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    private static func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 {
        (value &<< count) | (value &>> (32 &- count))
    }
}
