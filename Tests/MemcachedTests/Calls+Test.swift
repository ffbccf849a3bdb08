import MintCache
import Testing

@testable import Memcached

extension Call {
    init(_ request: Request, in queue: CallQueue) { self.init(request, in: .passUnretained(queue)) }
}

extension CallQueue {
    /// Takes all calls that wait, as a thread does that the test takes the place of.
    func takeAll() -> [Call] {
        var calls: [Call] = []
        take { backlog in
            while let call = backlog.popFirst() { calls.append(call) }
        }
        return calls
    }
}

extension CallList {
    init(_ calls: [Call]) {
        self.init()
        for call in calls { append(.passRetained(call)) }
    }
}

extension FetchedItems {
    /// Sets the item of a key to a text.
    mutating func set(_ index: Int, to text: String) throws {
        let cas = try #require(StoreItem.CAS(rawValue: UInt64(index + 1)))
        Array(text.utf8).withUnsafeBytes { set(index, to: $0, cas: cas) }
    }
}
