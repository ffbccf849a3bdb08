/// Reads and writes the bytes of envelopes and of generation keys: little-endian, no padding.
///
/// ```
/// offset  header (8 bytes)              value (kind 1)                pending (kind 0)    generation (kind 2)
/// 0       magic 0xCA                 8  identity                   8  token            8  stamp, hard half
/// 1       version 2                 16  created at, µs            16  lease until, µs 16  soft half (4 bytes)
/// 2       kind, and flags           24  fresh until, µs           24  settling until  20  expired at, if it was,
/// 3       number of stamps          32  load time, µs (4 bytes)   32  stamps              settling until, if it is
/// 4       checksum (4 bytes)        36  payload tag (4 bytes)
///                                   40  claim: token, until, settling until (24 bytes, if claimed),
///                                       list of servers (4 bytes, if numbered), stamps, payload
/// ```
///
/// A value with terms of its own (kind 4) has them before its payload: stale for, µs, or -1; number of groups (1 byte); for
/// each its stamp, and its key after a byte that says how long it is.
///
/// A mark (kind 3) has at 8 until when values are settling. A stamp of a value is its hard half and its soft half.
///
/// The checksum is the lower half of the exclusive or of two hashes: of all from offset 8, seeded with the first four
/// bytes, and of the *key*, with seed 0. So damaged bytes are a miss, and so are bytes that belong to another key.
///
/// In later versions the header, the checksum, the token and end of a pending item's lease, and the place and beginning of
/// a claim stay as they are: so this version waits for their loads, and takes them for no garbage.
enum EnvelopeCoding {
    static let maximumStamps = 255

    private static let magic: UInt8 = 0xCA
    private static let version: UInt8 = 2
    private static let headerSize = 8
    static let claimSize = 24
    static let stampSize = 12

    // MARK: Writing

    /// - Precondition: it is not of a later version.
    static func encode(_ envelope: Envelope, for key: StoreKey) -> [UInt8] {
        switch envelope {
        case .pending(let lease, let stamps):
            return write(.pending, lease.isExpired ? .expired : [], stamps: stamps, for: key) { writer in
                writer.write(lease)
                writer.write(stamps)
            }
        case .value(let record):
            var flags: Flags = record.isSettling ? .settling : []
            if let claim = record.claim { flags.formUnion(claim.isExpired ? [.claimed, .expired] : .claimed) }
            if record.list != 0 { flags.insert(.numbered) }
            if record.isExpired { flags.insert(.stale) }
            let kind: Kind = record.terms == nil ? .value : .ownTerms
            let rest = size(of: record.terms) + record.payload.bytes.count
            return write(kind, flags, stamps: record.stamps, rest: rest, for: key) { writer in
                writer.write(record.identity.rawValue)
                writer.write(record.createdAt.microseconds)
                writer.write(record.freshUntil.microseconds)
                writer.write(record.loadMicroseconds)
                writer.write(record.payload.tag)
                if let claim = record.claim { writer.write(claim) }
                if record.list != 0 { writer.write(record.list) }
                writer.write(record.stamps)
                if let terms = record.terms { writer.write(terms) }
                writer.write(record.payload.bytes)
            }
        case .mark(let settlingUntil):
            return write(.mark, for: key) { $0.write(settlingUntil.microseconds) }
        case .later:
            preconditionFailure("an envelope of a later version cannot be written")
        }
    }

    static func encode(_ generation: Generation, for key: StoreKey) -> [UInt8] {
        // Most were never expired and settle nothing, and each hit reads them.
        var flags: Flags = generation.expiredAt == .never ? [] : .expired
        if generation.settlingUntil != .never { flags.insert(.settling) }
        return write(.generation, flags, for: key) { writer in
            writer.write(generation.stamp.hard)
            writer.write(generation.stamp.soft)
            if flags.contains(.expired) { writer.write(generation.expiredAt.microseconds) }
            if flags.contains(.settling) { writer.write(generation.settlingUntil.microseconds) }
        }
    }

    private static func write(
        _ kind: Kind, _ flags: Flags = [], stamps: GroupStamps = [], rest: Int = 0, for key: StoreKey,
        body: (inout ByteWriter) -> Void
    ) -> [UInt8] {
        precondition(stamps.count <= maximumStamps)
        let size = kind.fixedSize + flags.size(kind) + stampSize * stamps.count + rest
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            var writer = ByteWriter(into: UnsafeMutableRawBufferPointer(buffer))
            writer.write(magic)
            writer.write(version)
            writer.write(kind.rawValue | flags.rawValue)
            writer.write(UInt8(stamps.count))
            writer.write(UInt32(0))
            body(&writer)
            count = writer.count
            let bytes = UnsafeRawBufferPointer(start: buffer.baseAddress, count: count)
            buffer.baseAddress.map(UnsafeMutableRawPointer.init)?.storeBytes(
                of: checksum(of: bytes, for: key).littleEndian, toByteOffset: 4, as: UInt32.self)
        }
    }

    // MARK: Reading

    /// The envelope in an item; `nil` for bytes that are no envelope of this version, or a later one, for this key.
    static func envelope(in bytes: ArraySlice<UInt8>, for key: StoreKey) -> Envelope? {
        var isIntact = false
        if let record = record(in: bytes, for: key, isIntact: &isIntact) { return .value(record) }
        return isIntact ? envelope(inIntact: bytes) : nil
    }

    /// The record in an item; `nil` for anything else. By itself, since each hit is one: a hit that is read by way of an
    /// ``Envelope`` takes a third longer.
    ///
    /// - Parameter isIntact: is set when the checksum is right.
    static func record(in bytes: ArraySlice<UInt8>, for key: StoreKey, isIntact: inout Bool) -> CachedRecord? {
        bytes.withUnsafeBytes { buffer in
            guard Self.isIntact(buffer, for: key) else { return nil }
            isIntact = true
            guard buffer[1] == version, let header = header(of: buffer) else { return nil }
            guard header.kind == .value || header.kind == .ownTerms else { return nil }
            return record(in: bytes, buffer, header)
        }
    }

    /// What is no record, in bytes whose checksum is right.
    static func envelope(inIntact bytes: ArraySlice<UInt8>) -> Envelope? {
        bytes.withUnsafeBytes { buffer in
            guard buffer[1] == version else { return buffer[1] > version ? .later(laterLease(in: buffer)) : nil }
            guard let header = header(of: buffer) else { return nil }
            var reader = ByteReader(buffer, from: headerSize)
            switch header.kind {
            case .pending:
                guard header.flags.subtracting(.expired).isEmpty,
                    buffer.count == header.kind.fixedSize + stampSize * header.stamps
                else { return nil }
                let lease = reader.lease(isExpired: header.flags.contains(.expired))
                return .pending(lease, stamps: reader.stamps(header.stamps))
            case .mark:
                guard header.flags.isEmpty, header.stamps == 0, buffer.count == header.kind.fixedSize else {
                    return nil
                }
                return .mark(settlingUntil: reader.time())
            case .value, .ownTerms, .generation:
                return nil
            }
        }
    }

    private static func record(
        in bytes: ArraySlice<UInt8>, _ buffer: UnsafeRawBufferPointer, _ header: Header
    ) -> CachedRecord? {
        let (flags, stamps) = (header.flags, header.stamps)
        guard buffer.count >= Kind.value.fixedSize + flags.size(.value) + stampSize * stamps,
            flags.contains(.claimed) || !flags.contains(.expired)
        else { return nil }
        var reader = ByteReader(buffer, from: headerSize)
        let identity = reader.token()
        let createdAt = reader.time()
        let freshUntil = reader.time()
        let loadMicroseconds: UInt32 = reader.read()
        let tag: UInt32 = reader.read()
        let claim = flags.contains(.claimed) ? reader.lease(isExpired: flags.contains(.expired)) : nil
        let list: UInt32 = flags.contains(.numbered) ? reader.read() : 0
        let groupStamps = reader.stamps(stamps)
        var terms: ValueTerms?
        if header.kind == .ownTerms {
            guard let own = reader.terms() else { return nil }
            terms = own
        }
        return CachedRecord(
            identity: identity, createdAt: createdAt, freshUntil: freshUntil, loadMicroseconds: loadMicroseconds,
            isSettling: flags.contains(.settling), isExpired: flags.contains(.stale), list: list, claim: claim,
            stamps: groupStamps, terms: terms,
            payload: Payload(tag: tag, bytes: bytes.dropFirst(reader.offset)))
    }

    /// What stands under a generation key; `nil` for bytes that are none.
    static func generation(in bytes: ArraySlice<UInt8>, for key: StoreKey) -> Generation? {
        bytes.withUnsafeBytes { buffer in
            guard isIntact(buffer, for: key), buffer[1] == version, let header = header(of: buffer),
                header.kind == .generation, header.flags.isSubset(of: [.expired, .settling]), header.stamps == 0,
                buffer.count == header.kind.fixedSize + header.flags.size(.generation)
            else { return nil }
            var reader = ByteReader(buffer, from: headerSize)
            var generation = Generation(stamp: GroupStamp(hard: reader.read(), soft: reader.read()))
            if header.flags.contains(.expired) { generation.expiredAt = reader.time() }
            if header.flags.contains(.settling) { generation.settlingUntil = reader.time() }
            return generation
        }
    }

    /// Whether the checksum is right.
    private static func isIntact(_ bytes: UnsafeRawBufferPointer, for key: StoreKey) -> Bool {
        bytes.count > headerSize && bytes[0] == magic
            && UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
                == checksum(of: bytes, for: key)
    }

    /// The header of bytes of this version; `nil` unless the fixed fields are all there.
    private static func header(of bytes: UnsafeRawBufferPointer) -> Header? {
        guard let kind = Kind(rawValue: bytes[2] & Flags.kindMask), bytes.count >= kind.fixedSize else { return nil }
        return Header(kind: kind, flags: Flags(rawValue: bytes[2] & ~Flags.kindMask), stamps: Int(bytes[3]))
    }

    /// The lease in bytes of a later version.
    private static func laterLease(in bytes: UnsafeRawBufferPointer) -> Lease? {
        let offset: Int
        switch bytes[2] & Flags.kindMask {
        case Kind.pending.rawValue: offset = headerSize
        case Kind.value.rawValue, Kind.ownTerms.rawValue:
            guard bytes[2] & Flags.claimed.rawValue != 0 else { return nil }
            offset = Kind.value.fixedSize
        default: return nil
        }
        guard bytes.count >= offset + 16 else { return nil }
        var reader = ByteReader(bytes, from: offset)
        return Lease(token: reader.token(), until: reader.time())
    }

    static func checksum(of bytes: UnsafeRawBufferPointer, for key: StoreKey) -> UInt32 {
        let head = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
        let body = WyHash.hash(UnsafeRawBufferPointer(rebasing: bytes[headerSize...]), seed: UInt64(head))
        // Not as the other's seed: the processor works on both at the same time.
        return UInt32(truncatingIfNeeded: body ^ key.bytes.withUnsafeBytes { WyHash.hash($0, seed: 0) })
    }
}
