/// Writes integers and bytes one after the other into a buffer that is large enough.
struct ByteWriter {
    private let buffer: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(into buffer: UnsafeMutableRawBufferPointer) { self.buffer = buffer }

    mutating func write<Number: FixedWidthInteger>(_ number: Number) {
        buffer.storeBytes(of: number.littleEndian, toByteOffset: count, as: Number.self)
        count += MemoryLayout<Number>.size
    }

    mutating func write(_ lease: Lease) {
        write(lease.token.rawValue)
        write(lease.until.microseconds)
        write(lease.settlingUntil.microseconds)
    }

    mutating func write(_ stamps: GroupStamps) {
        for stamp in stamps {
            write(stamp.hard)
            write(stamp.soft)
        }
    }

    mutating func write(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { source in
            UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyMemory(from: source)
        }
        count += bytes.count
    }
}

/// Reads integers one after the other from bytes whose length was checked.
struct ByteReader {
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

    /// How many bytes are left.
    var remaining: Int { buffer.count - offset }

    /// - Precondition: so many are left.
    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { offset += count }
        return Array(buffer[offset..<offset + count])
    }

    mutating func token() -> LoadToken { LoadToken(rawValue: read()) }

    mutating func time() -> WallTime { WallTime(microseconds: read()) }

    mutating func lease(isExpired: Bool) -> Lease {
        Lease(token: token(), until: time(), settlingUntil: time(), isExpired: isExpired)
    }

    mutating func stamps(_ count: Int) -> GroupStamps {
        var stamps = GroupStamps()
        for _ in 0..<count { stamps.append(GroupStamp(hard: read(), soft: read())) }
        return stamps
    }
}
