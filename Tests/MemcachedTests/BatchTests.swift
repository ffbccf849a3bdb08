import CLibMemcached
import MintCache
import Testing

@testable import Memcached

@Suite("A batch of calls")
struct BatchTests {
    private let queue = CallQueue(limit: 1000, resumesTasks: true)

    private func key(_ name: String) throws -> StoreKey { try StoreKey(name) }

    private func fill(_ batch: inout Batch, _ requests: [Call.Request], lineLength: Int = 8000) -> [Call] {
        let calls = requests.map { Call($0, in: queue) }
        var backlog = CallList(calls)
        _ = batch.fill(from: &backlog, atMost: 1000, lineLength: lineLength)
        return calls
    }

    private func finish(_ batch: inout Batch, _ calls: [Call], epoch: UInt32? = 7) {
        batch.epoch = epoch
        batch.prepareReplies(of: CallList(calls))
        for call in calls { call.finish() }
    }

    private func text(_ items: [StoreItem?]) -> String {
        items.map { $0.map { String(decoding: $0.value, as: UTF8.self) } ?? "-" }.joined()
    }

    private func text(_ call: Call) async throws -> String {
        switch try await call.wait() {
        case .item(let item): text([item])
        case .items(let item, let others): text([item]) + "+" + text(others)
        case .written(let write): text(write)
        case .allWritten(let outcomes): outcomes.map { (try? $0.get()).map(text) ?? "failed" }.joined(separator: ", ")
        case .failure: "failure"
        }
    }

    private func text(_ write: StoreWrite) -> String {
        write == .gone ? "gone" : write.isStored ? "stored" : "not stored"
    }

    @Test("tells of several writes of one call apart, and of those of the calls beside it")
    func writesTogether() async throws {
        var batch = Batch()
        func add(_ name: String) throws -> WriteOperation { .add(try key(name), Array(name.utf8), expiry: 0) }
        let calls = fill(
            &batch,
            [.write(try add("a")), .writeAll([try add("b"), try add("c"), try add("d")]), .write(try add("e"))])
        for (index, name) in ["a", "b", "x", nil, "e"].enumerated() {
            if let name { try batch.items.set(index, to: name) }
        }
        finish(&batch, calls)
        #expect(try await text(calls[0]) == "stored")
        #expect(try await text(calls[1]) == "stored, not stored, gone")
        #expect(try await text(calls[2]) == "stored")
    }

    @Test("asks for each key once, and gives every call its own items")
    func replies() async throws {
        let group = [try key("g")]
        let requests: [Call.Request] = [
            .get(try key("a")), .getAll(try key("b"), group), .getAll(try key("c"), group), .get(try key("g")),
            .getAll(try key("d"), [try key("h"), try key("a")]), .getAll(try key("b"), group),
            .getAll(try key("a"), [try key("h")]),
        ]
        var batch = Batch()
        for _ in 1...2 {
            let calls = fill(&batch, requests)
            let names = "abgcdh"
            #expect(batch.keys.count == names.count)
            for (index, name) in names.utf8.enumerated() {
                #expect(withUnsafeBytes(of: name) { batch.keys.key(index, is: $0) })
            }
            // Each item says which key it is of.
            for (index, name) in names.enumerated() where name != "c" { try batch.items.set(index, to: String(name)) }
            finish(&batch, calls)
            var replies: [String] = []
            for call in calls { replies.append(try await text(call)) }
            #expect(replies == ["a", "b+g", "-+g", "g", "d+ha", "b+g", "a+h"])
        }
    }

    @Test("takes what fits one line by keys and by bytes, keys that are there already for nothing, and one call always")
    func cut() throws {
        let long = String(repeating: "k", count: 21)
        let group = [try key("group")]
        let requests: [Call.Request] = try (100..<400).map { .getAll(try key("\(long)\($0)"), group) }
        var backlog = CallList(requests.map { Call($0, in: queue) })
        var batch = Batch()
        #expect(batch.fill(from: &backlog, atMost: 256, lineLength: 8000).count == 256)
        #expect(batch.keys.lineLength == 256 * 25 + 6)
        // One group, and nineteen keys of 25 bytes with their spaces.
        #expect(batch.fill(from: &backlog, atMost: 256, lineLength: 500).count == 19)
        #expect(batch.keys.lineLength <= 500)
        #expect(batch.fill(from: &backlog, atMost: 256, lineLength: 10).count == 1)
        // Groups that are other arrays with the same keys.
        let other: [Call.Request] = try (0..<10).map { .getAll(try key("k\($0)"), [try key("group"), try key("b")]) }
        backlog = CallList(other.map { Call($0, in: queue) })
        #expect(batch.fill(from: &backlog, atMost: 256, lineLength: 10 * 3 + 6 + 2).count == 10)
    }

    @Test("tells each write from what was read after it, whether it stands, and with which CAS id")
    func writes() async throws {
        let old = try #require(StoreItem.CAS(rawValue: 50))
        let names = ["a", "b", "c", "d", "e", "f", "g"]
        var batch = Batch()
        let requests: [Call.Request] = try names.enumerated().map { index, name in
            .write(
                index < 3
                    ? .add(try key(name), Array("own".utf8), expiry: 0)
                    : .compareAndSwap(try key(name), Array("own".utf8), cas: old, expiry: 0))
        }
        let calls = fill(&batch, requests)
        var sent = 0
        batch.withWrites {
            _ = $0.send(isCurrent: { _ in true }) { _ in
                sent += 1
                return .success
            }
        }
        #expect(sent == 7)
        for (index, text) in [0: "own", 1: "other", 3: "own", 4: "other"] { try batch.items.set(index, to: text) }
        // What was to be replaced stands there still: it was refused.
        Array("old".utf8).withUnsafeBytes { batch.items.set(6, to: $0, cas: old) }
        finish(&batch, calls)
        var replies: [String] = []
        for call in calls.dropLast() { replies.append(try await text(call)) }
        #expect(replies == ["stored", "not stored", "gone", "stored", "not stored", "not stored"])
        let error = await #expect(throws: CacheError.self) { try await calls[6].wait() }
        #expect(error?.code == .storeFailure)
    }

    @Test("tells the CAS id with its epoch, or none where it may not")
    func told() async throws {
        for epoch in [UInt32(3), nil] {
            var batch = Batch()
            let calls = fill(&batch, [.write(.add(try key("a"), Array("own".utf8), expiry: 0))])
            batch.withWrites { _ = $0.send(isCurrent: { _ in true }) { _ in .success } }
            try batch.items.set(0, to: "own")
            finish(&batch, calls, epoch: epoch)
            guard case .written(let write) = try await calls[0].wait() else { throw CacheError(.storeFailure, "") }
            #expect(write.isStored && write.cas?.rawValue == (epoch == nil ? nil : 1))
            #expect(write.cas?.epoch == epoch)
        }
    }

    @Test(
        "is not sure of writes that cannot be seen once their connection broke, and sends none whose CAS id is too old")
    func interruption() async throws {
        let old = try #require(StoreItem.CAS(rawValue: 50, epoch: 1))
        var batch = Batch()
        let calls = fill(
            &batch,
            [
                .write(.compareAndSwap(try key("missed"), [1], cas: old, expiry: 0)),
                .write(.add(try key("seen"), Array("own".utf8), expiry: 0)),
                .write(.add(try key("absent"), [1], expiry: 0)),
                .write(.add(try key("breaks"), [1], expiry: 0)),
                .write(.add(try key("unsent"), [1], expiry: 0)),
            ])
        var sent: [String] = []
        batch.withWrites {
            _ = $0.send(isCurrent: { $0.epoch > 1 }) { operation in
                sent.append(operation.key?.description ?? "")
                return sent.count < 3 ? .success : ReturnCode(.init(5))
            }
            $0.interrupt(CacheError(.unavailable, "the connection broke"))
        }
        #expect(sent == ["seen", "absent", "breaks"])
        try batch.items.set(1, to: "own")
        finish(&batch, calls)
        #expect(try await text(calls[0]) == "not stored")
        #expect(try await text(calls[1]) == "stored")
        for call in calls[2...] {
            let error = await #expect(throws: CacheError.self) { try await call.wait() }
            #expect(error?.code == .unavailable)
        }
    }

    @Test("takes a write whose answer was an error for open, and not for refused")
    func interruptedByRefusal() async throws {
        let refusal = CacheError(.storeFailure, "SERVER_ERROR")
        var batch = Batch()
        let calls = fill(&batch, [.write(.add(try key("a"), [1], expiry: 0))])
        batch.withWrites {
            _ = $0.send(isCurrent: { _ in true }) { _ in .success }
            $0.interrupt(refusal)
        }
        batch.fail(0..<1, refusal)
        finish(&batch, calls)
        let error = await #expect(throws: CacheError.self) { try await calls[0].wait() }
        #expect(error?.code == .unavailable)
    }

    @Test("fails the calls whose keys could not be read, and no others")
    func partialFailure() async throws {
        var batch = Batch()
        let calls = fill(
            &batch, [.get(try key("a")), .getAll(try key("b"), [try key("c")]), .get(try key("d")), .get(try key("b"))])
        for index in [0, 1, 3] { try batch.items.set(index, to: "x") }
        batch.fail(2..<3, CacheError(.storeFailure, "c cannot be read"))
        finish(&batch, calls)
        #expect(try await text(calls[0]) == "x")
        await #expect(throws: CacheError.self) { try await calls[1].wait() }
        #expect(try await text(calls[2]) == "x")
        #expect(try await text(calls[3]) == "x")
    }

    @Test("has no item left of the batch before, answered or failed")
    func nothingLeft() async throws {
        let group = [try key("g")]
        var batch = Batch()
        /// Answers gets of these keys, upper case for those with a group, and says which have an item.
        func found(_ names: String, itemsAre isThere: Bool) async throws -> [Bool] {
            let calls = fill(
                &batch,
                try names.map { name in
                    let key = try key(String(name))
                    return name.isUppercase ? .getAll(key, group) : .get(key)
                }, lineLength: 100_000)
            if isThere { for index in 0..<batch.keys.count { try batch.items.set(index, to: "x") } }
            finish(&batch, calls)
            var found: [Bool] = []
            for call in calls { found.append(try await text(call).contains("x")) }
            return found
        }
        let many = String(String.UnicodeScalarView((0x4E00..<0x5100).compactMap(Unicode.Scalar.init)))
        for names in ["ab", "aba", "AB", "ABA", many, many + "A"] {
            let none = names.map { _ in false }
            #expect(try await found(names, itemsAre: true).allSatisfy { $0 })
            #expect(try await found(names, itemsAre: false) == none)
            _ = fill(&batch, [.get(try key("a"))])
            try batch.items.set(0, to: "x")
            batch.abandon()
            #expect(try await found(names, itemsAre: false) == none)
        }
    }

    @Test("keeps no large values, whether it was answered or failed")
    func largeValues() async throws {
        var batch = Batch()
        for fails in [false, true] {
            let calls = fill(&batch, [.get(try key("a"))])
            try batch.items.set(0, to: String(repeating: "x", count: FetchedItems.largestShared + 1))
            var value = try #require(batch.items[0]).value
            if fails { batch.abandon() } else { finish(&batch, calls) }
            if !fails { _ = try await text(calls[0]) }
            let address = value.withUnsafeBytes(\.baseAddress)
            value[value.startIndex] = 0
            #expect(value.withUnsafeBytes(\.baseAddress) == address, "it is nobody else's")
        }
    }
}
