/// A decoded value of a type that only its owner knows, after the size of its payload, in memory of its own.
///
/// It is no object: what is read of it is read under a lock, so that nobody has to count references to it, which is a
/// write to memory that is in no processor's cache.
// @unchecked: the values are Sendable, and the memory is written when it is made and when it is freed only, which
// whoever took the entry out of the table does.
struct DecodedEntry: @unchecked Sendable {
    private let memory: UnsafeMutableRawPointer

    /// Allocates memory for a value, which ``free(as:)`` gives back.
    ///
    /// - Parameter size: of its payload in bytes.
    init<Value: Sendable>(_ value: Value, size: Int) {
        let place = Self.place(of: Value.self)
        memory = .allocate(byteCount: place + MemoryLayout<Value>.size, alignment: place)
        memory.storeBytes(of: size, as: Int.self)
        (memory + place).initializeMemory(as: Value.self, to: value)
    }

    var size: Int { memory.load(as: Int.self) }

    func value<Value: Sendable>() -> Value { pointer().pointee }

    func free<Value: Sendable>(as type: Value.Type) {
        let value: UnsafeMutablePointer<Value> = pointer()
        value.deinitialize(count: 1)
        memory.deallocate()
    }

    private func pointer<Value>() -> UnsafeMutablePointer<Value> {
        (memory + Self.place(of: Value.self)).assumingMemoryBound(to: Value.self)
    }

    /// Where a value stands, which is also what its memory is aligned to.
    private static func place<Value>(of type: Value.Type) -> Int {
        max(MemoryLayout<Int>.stride, MemoryLayout<Value>.alignment)
    }
}
