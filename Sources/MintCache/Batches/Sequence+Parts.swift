extension Sequence {
    /// The places of all elements in this sequence, by the parts of the store that they are of.
    func places(by part: (Element) -> StorePart) -> [(part: StorePart, places: [Int])] {
        var parts: [(part: StorePart, places: [Int])] = []
        for (place, element) in enumerated() {
            let part = part(element)
            if let known = parts.firstIndex(where: { $0.part.id == part.id }) {
                parts[known].places.append(place)
            } else {
                parts.append((part, [place]))
            }
        }
        return parts
    }
}

extension Sequence<StoreKey> {
    /// Each once, in the order in which they come first.
    var unique: [StoreKey] {
        var seen: Set<StoreKey> = []
        return filter { seen.insert($0).inserted }
    }
}
