#if Zstd
import CZstd

extension CacheCodec where Self: Sendable {
    /// A codec that compresses what this one encodes, with [Zstandard](https://facebook.github.io/zstd/), where that is larger
    /// than some size and becomes smaller by it. It comes with the trait `Zstd` of the package.
    ///
    /// What was stored without it is another format: a miss, which is replaced.
    ///
    /// - Parameters:
    ///   - size: how many bytes are left as they are.
    ///   - level: from 1, the fastest, to 19, the smallest.
    ///   - maximumSize: how many bytes a value may have. A larger one is not cached, and bytes that claim to be more are a miss
    ///     before anything is allocated for them.
    public func compressed(
        above size: Int = 1024, level: Int = 3, maximumSize: Int = 64 << 20
    ) -> any CacheCodec<Value> {
        CompressedCodec(
            base: self, size: max(1, size), level: Int32(clamping: level), maximumSize: max(0, maximumSize))
    }
}

/// The bytes of another codec and a 0, or what they were compressed to and a 1.
struct CompressedCodec<Base: CacheCodec>: CacheCodec {
    let base: Base
    let size: Int
    let level: Int32
    let maximumSize: Int

    var format: String { base.format + " zstd" }

    func encode(_ value: Base.Value) throws -> [UInt8] {
        let bytes = try base.encode(value)
        guard bytes.count <= maximumSize else { throw ValueTooLarge() }
        guard bytes.count > size, let compressed = compress(bytes) else { return bytes + [0] }
        return compressed
    }

    func decode(_ bytes: ArraySlice<UInt8>) throws -> Base.Value {
        switch bytes.last {
        case 0: try base.decode(bytes.dropLast())
        case 1: try base.decode(decompress(bytes.dropLast())[...])
        default: throw MalformedPayload()
        }
    }

    /// `nil` when it is not smaller.
    private func compress(_ bytes: [UInt8]) -> [UInt8]? {
        let compressed = [UInt8](unsafeUninitializedCapacity: bytes.count) { buffer, count in
            // One byte less, for the 1 at the end.
            let written = ZSTD_compress(buffer.baseAddress, bytes.count - 1, bytes, bytes.count, level)
            count = ZSTD_isError(written) == 0 ? written : 0
        }
        return compressed.isEmpty ? nil : compressed + [1]
    }

    private func decompress(_ bytes: ArraySlice<UInt8>) throws -> [UInt8] {
        try bytes.withUnsafeBytes { source in
            let size = ZSTD_getFrameContentSize(source.baseAddress, source.count)
            // Also where it is not known, or there is none.
            guard size <= UInt64(maximumSize) else { throw MalformedPayload() }
            return try [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
                count = ZSTD_decompress(buffer.baseAddress, Int(size), source.baseAddress, source.count)
                guard ZSTD_isError(count) == 0, count == Int(size) else {
                    count = 0
                    throw MalformedPayload()
                }
            }
        }
    }
}

/// A value has more bytes than may be compressed.
struct ValueTooLarge: Error {}
#endif
