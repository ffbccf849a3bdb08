import Foundation
import MintCache
import Testing

@testable public import CacheUtils

private enum Color: String, CacheKeyComponent {
    case red, green
}

private struct Point: CacheKeyComponent {
    var x: Int
    var y: Int

    func appendCacheKey(to key: inout CacheKeyBuilder) { key.append(x, y) }
}

private struct Tagged: CacheKeyComponent {
    var text: String

    func appendCacheKey(to key: inout CacheKeyBuilder) { key.append(text) }
}

private struct Filter: CacheKeyComponent {
    var name: String?

    func appendCacheKey(to key: inout CacheKeyBuilder) { key.append(name) }
}

private struct Limit: RawRepresentable, CacheKeyComponent {
    var rawValue: Int?
}

/// A number of a user's own, with a description that looks like syntax.
private struct Odd: FixedWidthStandIn {
    var description = "1,2),\"x\"[nil]:%"
}

private protocol FixedWidthStandIn: CacheKeyComponent, CustomStringConvertible {}

extension FixedWidthStandIn {
    func appendCacheKey(to key: inout CacheKeyBuilder) { key.literal(description) }
}

private struct Silent: CacheKeyComponent {
    func appendCacheKey(to key: inout CacheKeyBuilder) {}
}

private struct Chatty: CacheKeyComponent {
    func appendCacheKey(to key: inout CacheKeyBuilder) {
        key.append(1)
        key.append(2)
    }
}

extension Int128: CacheKeyComponent {}
extension UInt128: CacheKeyComponent {}

@Suite("A key")
struct KeyTests {
    private let cache = Cache(store: InMemoryStore(), namespace: "shop", version: "7")

    private func key<each Argument: CacheKeyComponent>(_ arguments: repeat each Argument) throws -> String {
        let function = cache.cached("f", ttl: .seconds(1)) { (_: repeat each Argument) in 0 }
        return String(try function.key(repeat each arguments).description.dropFirst("shop:7:f(".count).dropLast())
    }

    @Test("writes the standard types as literals")
    func literals() throws {
        #expect(try cache.cached("f", ttl: .seconds(1)) { 0 }.key().description == "shop:7:f()")
        #expect(try key("paris", 3, String?.none) == #""paris",3,nil"#)
        #expect(try key(true, false, -1.5, Float(0.1)) == "true,false,-1.5,0.1")
        #expect(try key(Int8.min, UInt64.max) == "-128,18446744073709551615")
        #expect(try key(Character("ж"), Substring("sub")) == #""ж","sub""#)
        #expect(try key([1, 2], [String]()) == "[1,2],[]")
        #expect(try key(Optional("x")) == #""x""#)
        #expect(
            try key(UUID(uuidString: "E621E1F8-C36C-495A-93FC-0C247A3E6E5F")) == "E621E1F8-C36C-495A-93FC-0C247A3E6E5F")
        #expect(try key(Date(timeIntervalSinceReferenceDate: 785_532_374.25)) == "Date(785532374.25)")
        #expect(try key(Color.red, Color.green) == #""red","green""#)
        #expect(try key(Point(x: 1, y: 2), Tagged(text: "t")) == #"(1,2),"t""#)
        #expect(try key([Point(x: 1, y: 2)]) == "[(1,2)]")
    }

    private func checkIntegers<Number: FixedWidthInteger & CacheKeyComponent>(_ type: Number.Type) throws {
        var numbers: [Number] = [.min, .max, .min + 1, .max - 1, 0, 1, 9, 10, 99, 100]
        if Number.isSigned { numbers += [0 &- 1, 0 &- 9, 0 &- 10, 0 &- 100] }
        for shift in 0..<Number.bitWidth { numbers.append(Number.random(in: .min ... .max) >> shift) }
        for number in numbers { #expect(try key(number) == number.description) }
    }

    @Test("writes integers of all widths as they are described")
    func integers() throws {
        let types: [any (FixedWidthInteger & CacheKeyComponent).Type] = [
            Int.self, Int8.self, Int16.self, Int32.self, Int64.self, Int128.self,
            UInt.self, UInt8.self, UInt16.self, UInt32.self, UInt64.self, UInt128.self,
        ]
        for type in types { try checkIntegers(type) }
    }

    @Test("writes equal sets and dictionaries equally")
    func ordered() throws {
        for _ in 0..<20 {
            #expect(try key(Set(["b", "a", "c"].shuffled())) == #"["a","b","c"]"#)
            let pairs = [("b", 2), ("a", 1), ("c", 3)].shuffled()
            #expect(try key(Dictionary(uniqueKeysWithValues: pairs)) == #"["a":1,"b":2,"c":3]"#)
        }
        #expect(try key([String: Int]()) == "[:]")
        #expect(try key(Set<Int>()) == "[]")
    }

    @Test("can be undone: what is escaped can be told from what was there")
    func escaping() throws {
        #expect(try key("a b\t\u{7F}%\"\\é") == #""a%20b%09%7F%25\"\\é""#)
        let texts = [
            "", " ", "%20", "%2520", "\"", "\\", "\\\"", "\",\"", "a\",\"b", "nil", "1", "\0", "é", "e\u{301}",
        ]
        #expect(Set(try texts.map { try StoreKey("k" + key($0)) }).count == texts.count)
    }

    @Test("differs for argument lists that differ in nesting only")
    func nesting() throws {
        let lists: [String] = [
            try key(["a", "b"]), try key("a", "b"), try key(["a"], "b"), try key([["a"], ["b"]]),
            try key([["a", "b"]]),
            try key("a\",\"b"), try key(Optional<String?>.none), try key(Optional<String?>.some(.none)), try key("nil"),
            try key([String?.none]), try key([String]()), try key([[String]()]), try key(""),
        ]
        #expect(Set(lists).count == lists.count)
        let optionals = [
            try key(Filter?.none), try key(Filter?.some(Filter(name: nil))), try key(Filter?.some(Filter(name: "nil"))),
            try key(Filter??.some(.none)), try key(Filter??.some(.some(Filter(name: nil)))),
        ]
        #expect(optionals == ["nil", "some(nil)", #""nil""#, "some(nil)", "some(some(nil))"])
        #expect(try key(Limit?.none) != key(Limit?.some(Limit(rawValue: nil))))
        #expect(try key(Odd()) == "1%2C2%29%2C%22x%22%5Bnil%5D%3A%25")
    }

    @Test("of a part that does not write exactly one piece is an error that names the type", arguments: [true, false])
    func misfits(silent: Bool) throws {
        let error = #expect(throws: CacheError.self) {
            if silent { try key(1, [Silent()]) } else { try key(Set([1]), Chatty()) }
        }
        #expect(error?.code == .invalidKey)
        #expect(error?.message.contains(silent ? "Silent appended 0" : "Chatty appended 2") == true)
    }

    @Test("of one namespace and version is never one of another")
    func namespaces() throws {
        let caches = [("a", "b:c"), ("a:b", "c"), ("a", "b"), ("a%3Ab", "c"), ("ab", ""), ("a", "%")].map {
            Cache(store: InMemoryStore(), namespace: $0, version: $1)
        }
        let keys = try caches.map { try $0.keys.key(named: "c:d") }
        #expect(Set(keys).count == keys.count)
        #expect(keys[0].description == "a:b%3Ac:c:d")
    }

    @Test("of a group is of the namespace, and no version or name makes another key look like it")
    func groups() throws {
        let names = ["a", "@a", ":a", "a:b", "@a:b", "%40a", "@", "@:"]
        var keys: [StoreKey] = []
        for namespace in names {
            for version in names + [""] {
                let space = KeySpace(namespace: namespace, version: version)
                keys += try names.map { try space.key(named: $0) }
                #expect(try space.key(ofGroup: "a") == KeySpace(namespace: namespace, version: "7").key(ofGroup: "a"))
            }
            let space = KeySpace(namespace: namespace, version: "7", canInvalidateAll: true)
            keys += try names.map { try space.key(ofGroup: $0) }
            keys.append(try #require(try space.groupOfAll()))
        }
        #expect(Set(keys).count == keys.count)
    }

    @Test("of a group as the first edition writes it")
    func firstEdition() throws {
        let keys = KeySpace(namespace: "shop", version: "8", others: ["6"], firstEdition: ["7"])
        #expect(try keys.firstEditionKeys(ofGroup: "a b").map(\.description) == ["shop:7:@a%20b"])
        #expect(try keys.keys(named: "x").map(\.description) == ["shop:8:x", "shop:6:x", "shop:7:x"])
    }

    @Test("of a value in the other versions that are invalidated with it")
    func otherVersions() throws {
        let keys = KeySpace(namespace: "shop", version: "8", others: ["7", "@9", "8", "7"])
        #expect(try keys.keys(named: "x").map(\.description) == ["shop:8:x", "shop:7:x", "shop:%409:x"])
        #expect(throws: CacheError.self) {
            try KeySpace(namespace: "shop", version: "8", others: [String(repeating: "9", count: 200)]).keys(named: "x")
        }
    }

    @Test("by name is never the key of a call or of a group")
    func kinds() throws {
        let keys = cache.keys
        let function = cache.cached("f", ttl: .seconds(1)) { (_: Int) in 0 }
        #expect(try keys.key(named: "offers").description == "shop:7:offers")
        #expect(try keys.key(ofGroup: "cities").description == "shop:@cities")
        #expect(try keys.key(named: "f(1)") != function.key(1))
        #expect(try keys.key(named: "@cities") != keys.key(ofGroup: "cities"))
        let at = cache.cached("@cities", ttl: .seconds(1)) { 0 }
        #expect(try at.key() != keys.key(ofGroup: "cities()"))
        let swift = cache.cached("City.get(slug:)", ttl: .seconds(1)) { (_: String) in 0 }
        #expect(try swift.key("x").description == #"shop:7:City.get(slug:)("x")"#)
    }

    @Test("longer than 250 bytes, namespace included, keeps its head and ends in its SHA-256")
    func longKeys() throws {
        // "shop:7:" and n bytes.
        let exact = try cache.keys.key(named: String(repeating: "n", count: 243))
        #expect(exact.bytes.count == 250)
        #expect(exact.description == "shop:7:" + String(repeating: "n", count: 243))
        let long = try cache.keys.key(named: String(repeating: "n", count: 244))
        #expect(long.bytes.count == 250)
        #expect(long.description.hasPrefix("shop:7:" + String(repeating: "n", count: 178) + "-"))
        #expect(long.description.hasSuffix("-a923406ce92635b3fb1e1f0d749340214b10e799a3253983e9d54465dc2fc049"))
        for letters in 1...300 {
            let text = String(repeating: "ж", count: letters)
            let key = try cache.keys.key(named: text)
            #expect(key.bytes.count <= 250)
            #expect(String(validating: key.bytes, as: UTF8.self) != nil, "a character was cut in two")
        }
    }

    @Test("that looks like a shortened one is shortened itself, so that nobody can name another's key")
    func forgery() throws {
        let victim = try cache.keys.key(named: String(repeating: "n", count: 300))
        let name = String(victim.description.dropFirst("shop:7:".count))
        #expect(try cache.keys.key(named: name) != victim)
        #expect(try cache.keys.key(ofGroup: name).description.hasSuffix(name) == false)
    }
}
