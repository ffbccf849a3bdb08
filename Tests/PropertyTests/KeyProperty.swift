import Foundation
@testable import CacheUtils
import MintCache

extension Property {
    /// Two keys of any names, versions and namespaces, and of any arguments of one type, are legal, and equal where what they were made of is, to
    /// the byte.
    static let key = Property(name: "key") { bytes in
        var choices = Choices(bytes)
        let shape = Shape(&choices, depth: 0)
        var keys: [(made: Made, key: StoreKey)] = []
        for _ in 0..<2 {
            let made = Made(&choices, shape)
            guard let key = made.key else { continue }
            // Cannot be made of others, as that is checked; here it is what was trusted.
            if (try? StoreKey(bytes: key.bytes)) == nil { return "\(key) is no legal key" }
            keys.append((made, key))
        }
        guard keys.count == 2 else { return nil }
        let isSame = keys[0].made == keys[1].made
        return isSame == (keys[0].key == keys[1].key)
            ? nil : "\(keys[0].made) has the key \(keys[0].key), and \(keys[1].made) \(keys[1].key)"
    }
}

/// What a key is made of.
private struct Made: Equatable {
    enum Kind: UInt8 { case call, named, group }

    let kind: Kind
    let namespace, version, name: Exact
    let argument: Argument

    init(_ choices: inout Choices, _ shape: Shape) {
        kind = Kind(rawValue: choices.number(below: 3)) ?? .call
        namespace = Exact(choices.text())
        // A group is of all versions.
        version = kind == .group ? Exact("") : Exact(choices.text())
        name = Exact(choices.text())
        argument = kind == .call ? shape.argument(&choices) : .text(Exact(""))
    }

    /// `nil` where a name is refused.
    var key: StoreKey? {
        let space = KeySpace(namespace: namespace.text, version: version.text)
        switch kind {
        case .named: return try? space.key(named: name.text)
        case .group: return try? space.key(ofGroup: name.text)
        case .call:
            guard let head = try? space.head(ofFunction: name.text) else { return nil }
            var builder = CacheKeyBuilder(head: head)
            builder.element(argument)
            return try? builder.key()
        }
    }
}

/// Text that is equal to the byte, as `String` is not.
private struct Exact: Hashable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: Exact, right: Exact) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    func hash(into hasher: inout Hasher) { hasher.combine(Array(text.utf8)) }
}

/// The type of an argument: arguments of one function have one.
private indirect enum Shape {
    case text, number, flag, fraction, date
    case optional(Shape)
    case list(Shape)
    case pair(Shape, Shape)
    case table(Shape)

    init(_ choices: inout Choices, depth: Int) {
        switch choices.number(below: depth < 4 ? 9 : 5) {
        case 0: self = .text
        case 1: self = .number
        case 2: self = .flag
        case 3: self = .fraction
        case 4: self = .date
        case 5: self = .optional(Shape(&choices, depth: depth + 1))
        case 6: self = .list(Shape(&choices, depth: depth + 1))
        case 7: self = .pair(Shape(&choices, depth: depth + 1), Shape(&choices, depth: depth + 1))
        default: self = .table(Shape(&choices, depth: depth + 1))
        }
    }

    func argument(_ choices: inout Choices) -> Argument {
        switch self {
        case .text: .text(Exact(choices.text()))
        case .number: .number(choices.integer())
        case .flag: .flag(choices.byte() & 1 == 1)
        case .fraction: .fraction(Double(bitPattern: choices.integer()))
        case .date: .date(Double(bitPattern: choices.integer()))
        case .optional(let shape): .optional(choices.byte() & 1 == 1 ? shape.argument(&choices) : nil)
        case .list(let shape): .list((0..<choices.number(below: 4)).map { _ in shape.argument(&choices) })
        case .pair(let first, let second): .pair(first.argument(&choices), second.argument(&choices))
        case .table(let shape):
            .table(
                Dictionary(
                    (0..<choices.number(below: 4)).map { _ in (Exact(choices.text()), shape.argument(&choices)) }
                ) {
                    first, _ in first
                })
        }
    }
}

private indirect enum Argument: Equatable, CacheKeyComponent {
    case text(Exact)
    case number(Int64)
    case flag(Bool)
    case fraction(Double)
    case date(Double)
    case optional(Argument?)
    case list([Argument])
    case pair(Argument, Argument)
    case table([Exact: Argument])

    func appendCacheKey(to key: inout CacheKeyBuilder) {
        switch self {
        case .text(let exact): key.append(exact.text)
        case .number(let number): key.append(number)
        case .flag(let flag): key.append(flag)
        case .fraction(let fraction): key.append(fraction)
        case .date(let seconds): key.append(Date(timeIntervalSinceReferenceDate: seconds))
        case .optional(let argument): key.append(argument)
        case .list(let arguments): key.append(arguments)
        case .pair(let first, let second): key.append(first, second)
        case .table(let table): key.append(table)
        }
    }

    static func == (left: Argument, right: Argument) -> Bool {
        switch (left, right) {
        case (.text(let left), .text(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.flag(let left), .flag(let right)): left == right
        // Zeros with and without a sign are two, and what is no number is one.
        case (.fraction(let left), .fraction(let right)), (.date(let left), .date(let right)):
            left.bitPattern == right.bitPattern || left.isNaN && right.isNaN
        case (.optional(let left), .optional(let right)): left == right
        case (.list(let left), .list(let right)): left == right
        case (.pair(let left, let other), .pair(let right, let another)): left == right && other == another
        case (.table(let left), .table(let right)): left == right
        default: false
        }
    }
}

extension Exact: CacheKeyComponent {
    func appendCacheKey(to key: inout CacheKeyBuilder) { key.append(text) }
}
