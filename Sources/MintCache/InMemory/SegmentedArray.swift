/// An array that grows and shrinks by segments of 1,024 elements: nothing moves more than the last of them, however many
/// there are.
struct SegmentedArray<Element> {
    private static var bits: UInt32 { 10 }
    private static var mask: UInt32 { (1 << bits) - 1 }

    private var segments: [ContiguousArray<Element>] = []

    /// The index of the element that is appended next.
    private(set) var endIndex: UInt32 = 0

    subscript(index: UInt32) -> Element {
        get { segments[Int(index >> Self.bits)][Int(index & Self.mask)] }
        _modify { yield &segments[Int(index >> Self.bits)][Int(index & Self.mask)] }
    }

    mutating func append(_ element: Element) {
        let segment = Int(endIndex >> Self.bits)
        if segment == segments.count { segments.append([]) }
        segments[segment].append(element)
        endIndex += 1
    }

    mutating func removeLast() -> Element {
        endIndex -= 1
        defer {
            // An empty one is kept for what is appended next, until much of the one before is free.
            let free = segments.count << Self.bits - Int(endIndex)
            if free > 3 << (Self.bits - 1) { segments.removeLast() }
        }
        return segments[Int(endIndex >> Self.bits)].removeLast()
    }
}
