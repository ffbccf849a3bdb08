import MintCache
import Testing

@Suite("A store key")
struct StoreKeyTests {
    @Test("takes 1 to 250 bytes")
    func length() throws {
        #expect(try StoreKey("k").bytes == [0x6B])
        #expect(try StoreKey(String(repeating: "k", count: 250)).bytes.count == 250)
        #expect(throws: CacheError.self) { try StoreKey("") }
        #expect(throws: CacheError.self) { try StoreKey(String(repeating: "k", count: 251)) }
        #expect(throws: CacheError.self) { try StoreKey(String(repeating: "ж", count: 126)) }
    }

    @Test("takes no control character, no space, no DEL, and all else", arguments: UInt8.min...UInt8.max)
    func bytes(byte: UInt8) throws {
        let bytes: [UInt8] = [0x61, byte, 0x62]
        if byte <= 0x20 || byte == 0x7F {
            let error = #expect(throws: CacheError.self) { try StoreKey(bytes: bytes) }
            #expect(error?.code == .invalidKey)
        } else {
            #expect(try StoreKey(bytes: bytes).bytes == bytes)
        }
    }

    @Test("is equal to another by its bytes, not by its characters")
    func equality() throws {
        let composed = try StoreKey("\u{E9}")
        let decomposed = try StoreKey("e\u{301}")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
    }
}
