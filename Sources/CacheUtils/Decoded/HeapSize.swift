#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// An estimate of the memory that a value has besides its own bytes: that of its strings, arrays, sets, dictionaries and
/// objects, by how the standard library allocates it. What it cannot see into counts nothing.
enum HeapSize {
    /// Enough for an estimate: of longer collections the rest is taken to be like the elements before.
    private static let mostElements = 64
    private static let mostDepth = 8

    static func of(_ value: Any) -> Int { of(value, depth: 0) }

    /// What the allocator of glibc takes for a block of memory.
    static func block(_ count: Int) -> Int { max(32, (count + 23) / 16 * 16) }

    private static func of(_ value: Any, depth: Int) -> Int {
        switch value {
        case let text as String: return text.utf8.count < 16 ? 0 : block(33 + text.utf8.count)
        case let data as Data: return data.count < 15 ? 0 : block(data.count) + block(64)
        case let bytes as [UInt8]: return bytes.isEmpty ? 0 : block(32 + bytes.count)
        default: break
        }
        guard depth < mostDepth else { return 0 }
        let mirror = Mirror(reflecting: value)
        switch mirror.displayStyle {
        case .collection: return elements(of: mirror, header: 32, load: 1, depth)
        case .set, .dictionary: return elements(of: mirror, header: 64, load: 0.75, depth)
        case .class: return object(mirror, depth)
        default: return parts(of: mirror, depth)
        }
    }

    private static func parts(of mirror: Mirror, _ depth: Int) -> Int {
        mirror.children.reduce(0) { $0 + of($1.value, depth: depth + 1) }
    }

    private static func object(_ mirror: Mirror, _ depth: Int) -> Int {
        var (count, heap) = (16, 0)
        var level: Mirror? = mirror
        while let mirror = level {
            count += mirror.children.reduce(0) { $0 + stride(of: $1.value) }
            heap += parts(of: mirror, depth)
            level = mirror.superclassMirror
        }
        return block(count) + heap
    }

    /// - Parameter load: how full the storage is at most.
    private static func elements(of mirror: Mirror, header: Int, load: Double, _ depth: Int) -> Int {
        let count = mirror.children.count
        guard let first = mirror.children.first else { return 0 }
        let seen = mirror.children.prefix(mostElements)
        let heap = seen.reduce(0) { $0 + of($1.value, depth: depth + 1) }
        var places = count
        if load < 1 {
            places = 1
            while Double(places) * load < Double(count) { places *= 2 }
        }
        return block(header + places * stride(of: first.value)) + heap * count / seen.count
    }

    private static func stride(of value: Any) -> Int {
        func stride<Value>(_: Value) -> Int { MemoryLayout<Value>.stride }
        return _openExistential(value, do: stride)
    }
}
