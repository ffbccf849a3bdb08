import TestSupport
import Testing

@testable import MintCache

@Suite("The frame of a load")
struct LoadFrameTests {
    private let first = StoreKey(trusted: [0x61])
    private let second = StoreKey(trusted: [0x62])

    @Test("is of all keys of a batch but those that got no lease, until the last of them is there")
    func batch() throws {
        let cache = Counter()
        let frame = LoadFrame(of: cache)
        let tokens = (LoadToken(rawValue: 1), LoadToken(rawValue: 2))
        frame.add([first], token: tokens.0)
        frame.add([second], token: tokens.1)
        /// Whether a load of the key would be a part of itself, by the key and by what stands in the store.
        func isInCircle(_ key: StoreKey, _ token: LoadToken) -> [Bool] {
            LoadFrame.$current.withValue(frame) {
                [(try? LoadFrame.check(key, of: cache)) == nil, (try? LoadFrame.check(token, of: key)) == nil]
            }
        }
        #expect(isInCircle(first, tokens.0) == [true, true] && isInCircle(second, tokens.1) == [true, true])
        frame.remove(first, token: tokens.0)
        frame.end()
        #expect(isInCircle(first, tokens.0) == [false, false] && isInCircle(second, tokens.1) == [true, true])
        frame.end()
        #expect(isInCircle(second, tokens.1) == [false, false])
    }
}
