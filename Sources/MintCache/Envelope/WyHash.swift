/// wyhash of Wang Yi, final version 4.3 with its own secret, as <https://github.com/wangyi-fudan/wyhash> has it:
/// sixteen bytes for each multiplication.
///
/// It is not a cryptographic hash: it finds bytes that were damaged or swapped, not bytes that were forged.
package enum WyHash {
    private static let secret0: UInt64 = 0x2D35_8DCC_AA6C_78A5
    private static let secret1: UInt64 = 0x8BB8_4B93_962E_ACC9
    private static let secret2: UInt64 = 0x4B33_A62E_D433_D4A3
    private static let secret3: UInt64 = 0x4D5A_2DA5_1DE1_AA47

    package static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        let count = bytes.count
        let seed = seed ^ mix(seed ^ secret0, secret1)
        guard let start = bytes.baseAddress, count > 0 else { return finish(0, 0, seed, count) }
        guard count > 16 else {
            let (first, last) = ends(of: start, count)
            return finish(first, last, seed, count)
        }
        var seeds = (seed, seed, seed)
        var offset = 0
        if count >= 48 {
            repeat {
                seeds.0 = mix(word(start, offset) ^ secret1, word(start, offset &+ 8) ^ seeds.0)
                seeds.1 = mix(word(start, offset &+ 16) ^ secret2, word(start, offset &+ 24) ^ seeds.1)
                seeds.2 = mix(word(start, offset &+ 32) ^ secret3, word(start, offset &+ 40) ^ seeds.2)
                offset &+= 48
            } while count &- offset >= 48
            seeds.0 ^= seeds.1 ^ seeds.2
        }
        while count &- offset > 16 {
            seeds.0 = mix(word(start, offset) ^ secret1, word(start, offset &+ 8) ^ seeds.0)
            offset &+= 16
        }
        return finish(word(start, count &- 16), word(start, count &- 8), seeds.0, count)
    }

    /// All of 1 to 16 bytes, in two words.
    private static func ends(of start: UnsafeRawPointer, _ count: Int) -> (UInt64, UInt64) {
        guard count >= 4 else {
            let (first, middle, last) = (byte(start, 0), byte(start, count / 2), byte(start, count &- 1))
            return (first << 16 | middle << 8 | last, 0)
        }
        let step = count / 8 * 4
        return (
            half(start, 0) << 32 | half(start, step),
            half(start, count &- 4) << 32 | half(start, count &- 4 &- step)
        )
    }

    private static func finish(_ first: UInt64, _ last: UInt64, _ seed: UInt64, _ count: Int) -> UInt64 {
        let product = (first ^ secret1).multipliedFullWidth(by: last ^ seed)
        return mix(product.low ^ secret0 ^ UInt64(truncatingIfNeeded: count), product.high ^ secret1)
    }

    private static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.low ^ product.high
    }

    private static func word(_ start: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: start.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    private static func half(_ start: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        UInt64(UInt32(littleEndian: start.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
    }

    private static func byte(_ start: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        UInt64(start.load(fromByteOffset: offset, as: UInt8.self))
    }
}
