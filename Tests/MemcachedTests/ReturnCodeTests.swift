import CLibMemcached
import MintCache
import Testing

@testable import Memcached

@Suite("The error of a new connection's first command")
struct ReturnCodeTests {
    private func message(_ code: memcached_return_t, isAuthenticating: Bool = false, wasAccepted: Bool = true) throws
        -> String
    {
        ReturnCode(code).openingError(
            from: try MemcachedServer("cache1"), isAuthenticating: isAuthenticating, wasAccepted: wasAccepted
        ).message
    }

    @Test("names the likely cause and the server")
    func causes() throws {
        #expect(try message(MEMCACHED_CONNECTION_FAILURE).contains("no connection left, which -c sets"))
        #expect(try message(MEMCACHED_ERROR).contains("-c"))
        #expect(try message(MEMCACHED_CONNECTION_FAILURE, wasAccepted: false).contains("is it running?"))
        #expect(try message(MEMCACHED_CLIENT_ERROR).contains("wants authentication (-Y)"))
        #expect(try message(MEMCACHED_CLIENT_ERROR, isAuthenticating: true).contains("does not accept this user"))
        #expect(try message(MEMCACHED_TIMEOUT).contains("binary protocol"))
        #expect(try message(MEMCACHED_TIMEOUT).contains("cache1:11211"))
    }
}
