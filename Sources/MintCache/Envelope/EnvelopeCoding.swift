/// Reads and writes the bytes of envelopes and of generation keys: little-endian, no padding.
///
/// ```
/// offset  header (8 bytes)              value (kind 1)                pending (kind 0)    generation (kind 2)
/// 0       magic 0xCA                 8  identity                   8  token            8  stamp
/// 1       version 1                 16  created at, µs            16  lease until, µs
/// 2       kind, + 0x80 if claimed   24  fresh until, µs           24  stamps
/// 3       number of stamps          32  load time, µs (4 bytes)
/// 4       checksum (4 bytes)        36  payload tag (4 bytes)
///                                   40  claim: token, until (16 bytes, if claimed), stamps, payload
/// ```
///
/// The checksum is the lower half of the exclusive or of two hashes: of all from offset 8, seeded with the first four
/// bytes, and of the *key*, with seed 0. So damaged bytes are a miss, and so are bytes that belong to another key.
enum EnvelopeCoding {
    static let maximumStamps = 255

    private static let magic: UInt8 = 0xCA
    private static let version: UInt8 = 1
    private static let claimFlag: UInt8 = 0x80
    private static let headerSize = 8

    private enum Kind: UInt8 {
        case pending = 0
        case value = 1
        case generation = 2

        /// The size of the header and the fixed fields.
        var fixedSize: Int {
            switch self {
            case .pending: 24
            case .value: 40
            case .generation: 16
            }
        }
    }

    // MARK: Writing

    static func encode(_ envelope: Envelope, for key: StoreKey) -> [UInt8] {
        switch envelope {
        case .pending(let lease, let stamps):
            write(.pending, claimed: false, stamps: stamps.count, payload: 0, for: key) { writer in
                writer.write(lease.token.rawValue)
                writer.write(lease.until.microseconds)
                for stamp in stamps { writer.write(stamp.rawValue) }
            }
        case .value(let record):
            write(
                .value, claimed: record.claim != nil, stamps: record.stamps.count,
                payload: record.payload.bytes.count, for: key
            ) { writer in
                writer.write(record.identity.rawValue)
                writer.write(record.createdAt.microseconds)
                writer.write(record.freshUntil.microseconds)
                writer.write(record.loadMicroseconds)
                writer.write(record.payload.tag)
                if let claim = record.claim {
                    writer.write(claim.token.rawValue)
                    writer.write(claim.until.microseconds)
                }
                for stamp in record.stamps { writer.write(stamp.rawValue) }
                writer.write(record.payload.bytes)
            }
        }
    }

    static func encode(_ stamp: GroupStamp, for key: StoreKey) -> [UInt8] {
        write(.generation, claimed: false, stamps: 0, payload: 0, for: key) { $0.write(stamp.rawValue) }
    }

    private static func write(
        _ kind: Kind, claimed: Bool, stamps: Int, payload: Int, for key: StoreKey, body: (inout ByteWriter) -> Void
    ) -> [UInt8] {
        precondition(stamps <= maximumStamps)
        let size = kind.fixedSize + (claimed ? 16 : 0) + 8 * stamps + payload
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            var writer = ByteWriter(into: UnsafeMutableRawBufferPointer(buffer))
            writer.write(magic)
            writer.write(version)
            writer.write(kind.rawValue | (claimed ? claimFlag : 0))
            writer.write(UInt8(stamps))
            writer.write(UInt32(0))
            body(&writer)
            count = writer.count
            let bytes = UnsafeRawBufferPointer(start: buffer.baseAddress, count: count)
            buffer.baseAddress.map(UnsafeMutableRawPointer.init)?.storeBytes(
                of: checksum(of: bytes, for: key).littleEndian, toByteOffset: 4, as: UInt32.self)
        }
    }

    // MARK: Reading

    /// The envelope in an item; `nil` for bytes that are no envelope of this version for this key.
    static func envelope(in bytes: [UInt8], for key: StoreKey) -> Envelope? {
        bytes.withUnsafeBytes { buffer in
            guard let (kind, claimed, stampCount) = header(of: buffer, for: key) else { return nil }
            switch kind {
            case .pending:
                guard !claimed, buffer.count == kind.fixedSize + 8 * stampCount else { return nil }
                var reader = ByteReader(buffer, from: headerSize)
                let lease = Lease(token: reader.token(), until: reader.time())
                return .pending(lease, stamps: reader.stamps(stampCount))
            case .value:
                return record(in: bytes[...], buffer, claimed: claimed, stampCount).map { .value($0) }
            case .generation:
                return nil
            }
        }
    }

    /// The record in an item; `nil` for anything else.
    static func record(in bytes: ArraySlice<UInt8>, for key: StoreKey) -> CachedRecord? {
        bytes.withUnsafeBytes { buffer in
            guard let (kind, claimed, stampCount) = header(of: buffer, for: key), kind == .value else { return nil }
            return record(in: bytes, buffer, claimed: claimed, stampCount)
        }
    }

    private static func record(
        in bytes: ArraySlice<UInt8>, _ buffer: UnsafeRawBufferPointer, claimed: Bool, _ stampCount: Int
    ) -> CachedRecord? {
        guard buffer.count >= Kind.value.fixedSize + (claimed ? 16 : 0) + 8 * stampCount else { return nil }
        var reader = ByteReader(buffer, from: headerSize)
        let identity = reader.token()
        let createdAt = reader.time()
        let freshUntil = reader.time()
        let loadMicroseconds: UInt32 = reader.read()
        let tag: UInt32 = reader.read()
        let claim = claimed ? Lease(token: reader.token(), until: reader.time()) : nil
        let stamps = reader.stamps(stampCount)
        return CachedRecord(
            identity: identity, createdAt: createdAt, freshUntil: freshUntil, loadMicroseconds: loadMicroseconds,
            claim: claim, stamps: stamps, payload: Payload(tag: tag, bytes: bytes.dropFirst(reader.offset)))
    }

    /// The stamp in a generation key's item; `nil` for bytes that are none.
    static func stamp(in bytes: ArraySlice<UInt8>, for key: StoreKey) -> GroupStamp? {
        bytes.withUnsafeBytes { buffer in
            guard let (kind, claimed, stamps) = header(of: buffer, for: key), kind == .generation, !claimed,
                stamps == 0, buffer.count == kind.fixedSize
            else { return nil }
            var reader = ByteReader(buffer, from: headerSize)
            return GroupStamp(rawValue: reader.read())
        }
    }

    /// The kind, whether it is claimed and the number of stamps; `nil` unless the fixed fields are all there and the
    /// checksum is right.
    private static func header(
        of bytes: UnsafeRawBufferPointer, for key: StoreKey
    ) -> (kind: Kind, claimed: Bool, stamps: Int)? {
        guard bytes.count >= headerSize, bytes[0] == magic, bytes[1] == version,
            let kind = Kind(rawValue: bytes[2] & ~claimFlag), bytes.count >= kind.fixedSize
        else { return nil }
        let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        guard stored == checksum(of: bytes, for: key) else { return nil }
        return (kind, bytes[2] & claimFlag != 0, Int(bytes[3]))
    }

    private static func checksum(of bytes: UnsafeRawBufferPointer, for key: StoreKey) -> UInt32 {
        let head = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
        let body = WyHash.hash(UnsafeRawBufferPointer(rebasing: bytes[headerSize...]), seed: UInt64(head))
        // Not as the other's seed: the processor works on both at the same time.
        return UInt32(truncatingIfNeeded: body ^ key.bytes.withUnsafeBytes { WyHash.hash($0, seed: 0) })
    }
}

/// Writes integers and bytes one after the other into a buffer that is large enough.
private struct ByteWriter {
    private let buffer: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(into buffer: UnsafeMutableRawBufferPointer) { self.buffer = buffer }

    mutating func write<Number: FixedWidthInteger>(_ number: Number) {
        buffer.storeBytes(of: number.littleEndian, toByteOffset: count, as: Number.self)
        count += MemoryLayout<Number>.size
    }

    mutating func write(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { source in
            UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyMemory(from: source)
        }
        count += bytes.count
    }
}

/// Reads integers one after the other from bytes whose length was checked.
private struct ByteReader {
    private let buffer: UnsafeRawBufferPointer
    private(set) var offset: Int

    init(_ buffer: UnsafeRawBufferPointer, from offset: Int) {
        self.buffer = buffer
        self.offset = offset
    }

    mutating func read<Number: FixedWidthInteger>() -> Number {
        defer { offset += MemoryLayout<Number>.size }
        return Number(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: Number.self))
    }

    mutating func token() -> LoadToken { LoadToken(rawValue: read()) }

    mutating func time() -> WallTime { WallTime(microseconds: read()) }

    mutating func stamps(_ count: Int) -> GroupStamps {
        var stamps = GroupStamps()
        for _ in 0..<count { stamps.append(GroupStamp(rawValue: read())) }
        return stamps
    }
}
