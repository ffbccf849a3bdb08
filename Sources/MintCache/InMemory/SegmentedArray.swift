/// An array that grows by segments of 1,024 elements: to append moves no more than the last of them, however many there are.
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
        if endIndex & Self.mask == 0 { segments.append([]) }
        segments[segments.endIndex - 1].append(element)
        endIndex += 1
    }
}
