import MintCache
import Testing

@testable import Memcached

@Suite("A batch of gets")
struct GetBatchTests {
    private func key(_ name: String) throws -> StoreKey { try StoreKey(name) }

    @Test("asks for each key once, and gives every call its own items")
    func answers() async throws {
        let queue = CallQueue(maximumBatch: 100)
        let group = [try key("g")]
        let requests: [Call.Request] = [
            .get(try key("a")), .getAll(try key("b"), group), .getAll(try key("c"), group), .get(try key("g")),
            .getAll(try key("d"), [try key("h"), try key("a")]), .getAll(try key("b"), group),
            .getAll(try key("a"), [try key("h")]),
        ]
        var batch = GetBatch()
        for _ in 1...2 {
            let calls = requests.map { Call($0, in: queue) }
            batch.fill(CallList(calls))
            let names = "abgcdh"
            #expect(batch.keys.count == names.count)
            for (index, name) in names.utf8.enumerated() {
                #expect(withUnsafeBytes(of: name) { batch.keys.key(index, is: $0) })
            }
            // Each item says which key it is of.
            try batch.answer { items, _ in
                for (index, name) in names.enumerated() where name != "c" { try items.set(index, to: String(name)) }
            }.forEach { $0.finish() }
            var answers: [String] = []
            for call in calls {
                switch try await call.wait() {
                case .item(let item): answers.append(text([item]))
                case .items(let item, let others): answers.append(text([item]) + "+" + text(others))
                default: Issue.record("another answer")
                }
            }
            #expect(answers == ["a", "b+g", "-+g", "g", "d+ha", "b+g", "a+h"])
        }
    }

    private func text(_ items: [StoreItem?]) -> String {
        items.map { $0.map { String(decoding: $0.value, as: UTF8.self) } ?? "-" }.joined()
    }

    @Test("has no item left of the batch before, answered or failed")
    func nothingLeft() async throws {
        let queue = CallQueue(maximumBatch: 100)
        let group = [try key("g")]
        var batch = GetBatch()
        /// Answers gets of these keys, upper case for those with a group, and says which have an item.
        func found(_ names: String, _ take: (inout FetchedItems, Int) throws -> Void) async throws -> [Bool] {
            let calls = try names.map { name in
                let key = try key(String(name))
                return Call(name.isUppercase ? .getAll(key, group) : .get(key), in: queue)
            }
            batch.fill(CallList(calls))
            try batch.answer { items, keys in try take(&items, keys.count) }.forEach { $0.finish() }
            var found: [Bool] = []
            for call in calls {
                switch try await call.wait() {
                case .item(let item): found.append(item != nil)
                case .items(let item, let others): found.append(item != nil || others != [nil])
                default: Issue.record("another answer")
                }
            }
            return found
        }
        let many = String(String.UnicodeScalarView((0x4E00..<0x5300).compactMap(Unicode.Scalar.init)))
        for names in ["ab", "aba", "AB", "ABA", many, many + "A"] {
            let none = names.map { _ in false }
            let all = try await found(names) { for index in 0..<$1 { try $0.set(index, to: "x") } }
            #expect(all.allSatisfy { $0 })
            #expect(try await found(names) { _, _ in } == none)
            await #expect(throws: CacheError.self) {
                try await found(names) { items, _ in
                    try items.set(0, to: "x")
                    throw CacheError(.timeout, "no answer")
                }
            }
            batch.fail(CacheError(.timeout, "no answer"))
            #expect(try await found(names) { _, _ in } == none)
        }
    }

    @Test("keeps no large values, whether it was answered or failed")
    func largeValues() throws {
        let queue = CallQueue(maximumBatch: 100)
        var batch = GetBatch()
        for fails in [false, true] {
            batch.fill(CallList([Call(.get(try key("a")), in: queue)]))
            var value: ArraySlice<UInt8> = []
            let take: (inout FetchedItems, borrowing KeyBatch) throws -> Void = { items, _ in
                try items.set(0, to: String(repeating: "x", count: FetchedItems.largestShared + 1))
                value = try #require(items[0]).value
                if fails { throw CacheError(.timeout, "no answer") }
            }
            if fails {
                #expect(throws: CacheError.self) { _ = try batch.answer(take) }
                batch.fail(CacheError(.timeout, "no answer"))
            } else {
                _ = try batch.answer(take)
            }
            let address = value.withUnsafeBytes(\.baseAddress)
            value[value.startIndex] = 0
            #expect(value.withUnsafeBytes(\.baseAddress) == address, "it is nobody else's")
        }
    }

    @Test("fails all its calls")
    func failing() async throws {
        let queue = CallQueue(maximumBatch: 100)
        let calls = [Call(.get(try key("a")), in: queue), Call(.getAll(try key("b"), [try key("c")]), in: queue)]
        var batch = GetBatch()
        batch.fill(CallList(calls))
        batch.fail(CacheError(.timeout, "no answer"))
        for call in calls {
            let error = await #expect(throws: CacheError.self) { try await call.wait() }
            #expect(error?.code == .timeout)
        }
    }
}

extension FetchedItems {
    /// Sets the item of a key to a text.
    mutating func set(_ index: Int, to text: String) throws {
        let cas = try #require(StoreItem.CAS(rawValue: UInt64(index + 1)))
        Array(text.utf8).withUnsafeBytes { set(index, to: $0, cas: cas) }
    }
}
