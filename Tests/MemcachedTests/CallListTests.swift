import MintCache
import Testing

@testable import Memcached

@Suite("A list of calls")
struct CallListTests {
    private let queue = CallQueue(limit: 100, resumesTasks: true)

    /// Gets of the keys "1", "2", …
    private func calls(_ count: Int) throws -> [Call] {
        try (1...count).map { Call(.get(try StoreKey("\($0)")), in: queue) }
    }

    /// Takes out all that is left, and returns their keys.
    private func names(_ list: consuming CallList) -> [String] {
        var names: [String] = []
        while let call = list.popFirst() {
            if case .get(let key) = call.request { names.append(key.description) }
        }
        return names
    }

    @Test("gives calls out in the order in which they came, up to so many, and drops those that are over")
    func order() throws {
        let calls = try calls(7)
        var list = CallList(calls)
        for place in [0, 3] { calls[place].finish(.item(nil)) }
        let first = list.moved(atMost: 3)
        #expect(first.count == 3)
        #expect(list.count == 2)
        #expect(names(first) == ["2", "3", "5"])
        list.append(.passRetained(calls[1]))
        #expect(names(list) == ["6", "7", "2"])
    }

    @Test("is parted in two, each in its order")
    func parting() throws {
        var list = CallList(try calls(6))
        let even = list.take {
            guard case .get(let key) = $0.request else { return false }
            return key.bytes[0].isMultiple(of: 2)
        }
        #expect((even.count, list.count) == (3, 3))
        #expect(names(even) == ["2", "4", "6"])
        #expect(names(list) == ["1", "3", "5"])
    }

    @Test("frees calls that are taken out, and those that are left when it goes")
    func freeing() throws {
        weak var taken: Call?
        weak var dropped: Call?
        weak var left: Call?
        func fill() throws -> CallList {
            let calls = try calls(3)
            (taken, dropped, left) = (calls[0], calls[1], calls[2])
            calls[1].finish(.item(nil))
            return CallList(calls)
        }
        var list = try fill()
        #expect(taken != nil && dropped != nil && left != nil)
        do { _ = list.popFirst() }
        #expect(taken == nil)
        do {
            let rest = list.moved(atMost: 1)
            #expect(dropped == nil && left != nil)
            _ = consume rest
        }
        #expect(left == nil)
    }

    @Test("fails the calls that began before a time, and no others")
    func expiry() async throws {
        let calls = try calls(3)
        let list = CallList(calls)
        list.expire(before: calls[0].began, CacheError(.timeout, "no answer"))
        #expect(calls.allSatisfy { !$0.isOver })
        list.expire(before: .max, CacheError(.timeout, "no answer"))
        for call in calls {
            let error = await #expect(throws: CacheError.self) { try await call.wait() }
            #expect(error?.code == .timeout)
        }
    }
}

extension CallList {
    fileprivate mutating func moved(atMost most: Int) -> CallList {
        var calls = CallList()
        var count = 0
        move(to: &calls) { _ in
            count += 1
            return count <= most
        }
        return calls
    }
}
