import MintCache
import Testing

@testable import Memcached

@Suite("A batch of gets")
struct GetBatchTests {
    private func key(_ name: String) throws -> StoreKey { try StoreKey(name) }

    /// An item that says which key it is of.
    private func item(_ name: Character) throws -> StoreItem {
        StoreItem(value: Array(String(name).utf8), cas: try #require(StoreItem.CAS(rawValue: 1)))
    }

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
            let items = try names.map { $0 == "c" ? nil : try item($0) }
            batch.answer { answers, _ in answers = items }.forEach { $0.finish() }
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
        /// Answers gets of these keys, and says which have an item.
        func found(_ names: String, _ take: (inout [StoreItem?]) throws -> Void) async throws -> [Bool] {
            let calls = try names.map { Call(.getAll(try key(String($0)), group), in: queue) }
            batch.fill(CallList(calls))
            try batch.answer { items, _ in try take(&items) }.forEach { $0.finish() }
            var found: [Bool] = []
            for call in calls {
                guard case .items(let item, let others) = try await call.wait() else { continue }
                found.append(item != nil || others != [nil])
            }
            return found
        }
        for names in ["ab", "aba"] {
            #expect(try await found(names) { for place in $0.indices { $0[place] = try item("x") } }.allSatisfy(\.self))
            #expect(try await found(names) { _ in } == names.map { _ in false })
            await #expect(throws: CacheError.self) {
                try await found(names) { items in
                    items[0] = try item("x")
                    throw CacheError(.timeout, "no answer")
                }
            }
            batch.fail(CacheError(.timeout, "no answer"))
            #expect(try await found(names) { _ in } == names.map { _ in false })
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
