import MintCache

/// Whose a decoded value is: the function, and how a value of its type is freed.
final class DecodedOwner: Sendable {
    /// The groups of the function's values.
    let groups: [StoreKey]
    let deinitialize: @Sendable (UnsafeMutableRawPointer) -> Void

    init<Value>(_ type: Value.Type, groups: [StoreKey]) {
        self.groups = groups
        deinitialize = { $0.assumingMemoryBound(to: Value.self).deinitialize(count: 1) }
    }
}

/// A decoded value of a type that only its owner knows, in memory of its own, after a head that says what it is.
///
/// It is no object: what is read of it is read under a lock, so that nobody has to count references to it, which is a
/// write to memory that is in no processor's cache.
// @unchecked: the values are Sendable, and the memory is written when it is made and when it is freed only, which
// whoever took the entry out of the table does.
struct DecodedEntry: @unchecked Sendable {
    // Small: what is read of an entry is seldom in a cache of the processor.
    private struct Head {
        /// Of the payload that it was decoded from.
        let identity: UInt64
        let owner: Unmanaged<DecodedOwner>
        /// All the memory that it takes, in bytes.
        let size: UInt32
        /// Where the value stands in the memory.
        let place: UInt32
    }

    private let memory: UnsafeMutableRawPointer

    /// Allocates memory for a value, which ``free()`` gives back.
    ///
    /// - Parameter heap: how much memory the value has besides its own bytes.
    init<Value: Sendable>(_ value: Value, of identity: UInt64, heap: Int, owner: DecodedOwner) {
        let alignment = max(MemoryLayout<Head>.alignment, MemoryLayout<Value>.alignment)
        let place = Self.place(of: Value.self)
        let count = place + MemoryLayout<Value>.size
        memory = .allocate(byteCount: count, alignment: alignment)
        memory.initializeMemory(
            as: Head.self,
            to: Head(
                identity: identity, owner: .passRetained(owner), size: UInt32(clamping: HeapSize.block(count) + heap),
                place: UInt32(place)))
        (memory + place).initializeMemory(as: Value.self, to: value)
    }

    var size: Int { Int(head.size) }
    var groups: [StoreKey] { head.owner.takeUnretainedValue().groups }

    /// Whether it was decoded from a payload by a function.
    func isOf(_ identity: UInt64, _ owner: DecodedOwner) -> Bool {
        head.identity == identity && head.owner.toOpaque() == Unmanaged.passUnretained(owner).toOpaque()
    }

    /// Whether both are of the same payload, and of the same function.
    func isSame(as other: DecodedEntry) -> Bool {
        head.identity == other.head.identity && head.owner.toOpaque() == other.head.owner.toOpaque()
    }

    /// - Precondition: the owner is one of values of this type.
    func value<Value: Sendable>() -> Value {
        (memory + Self.place(of: Value.self)).assumingMemoryBound(to: Value.self).pointee
    }

    func free() {
        let owner = head.owner.takeRetainedValue()
        owner.deinitialize(memory + Int(head.place))
        memory.deallocate()
    }

    private var head: Head { memory.assumingMemoryBound(to: Head.self).pointee }

    private static func place<Value>(of type: Value.Type) -> Int {
        let alignment = MemoryLayout<Value>.alignment
        return (MemoryLayout<Head>.size + alignment - 1) / alignment * alignment
    }
}
