import Testing

@testable import Memcached

@Suite("The reader of a queue")
struct ReadershipTests {
    private final class Somebody {}

    private let one = Somebody()
    private let other = Somebody()
    private var reader: Worker.ID { Worker.ID(one) }
    private var another: Worker.ID { Worker.ID(other) }

    @Test("is whoever takes gets first, and may always take more")
    func first() {
        var readership = Readership()
        #expect(readership.allows(another, toTake: 1000, areLookedFor: true))
        readership.note(reader, keepsUp: true)
        readership.note(another, keepsUp: true)
        #expect(readership.allows(reader, toTake: 1000, areLookedFor: true))
        #expect(!readership.allows(another, toTake: 1000, areLookedFor: false))
    }

    @Test("leaves a few gets to others, unless somebody looks for them before long")
    func few() {
        var readership = Readership()
        readership.note(reader, keepsUp: true)
        #expect(readership.allows(another, toTake: 15, areLookedFor: false))
        #expect(!readership.allows(another, toTake: 16, areLookedFor: false))
        #expect(!readership.allows(another, toTake: 15, areLookedFor: true))
    }

    @Test("leaves all of them when it does not keep up or resigns")
    func resigns() {
        var readership = Readership()
        readership.note(reader, keepsUp: true)
        readership.note(reader, keepsUp: false)
        #expect(readership.allows(another, toTake: 1000, areLookedFor: true))
        readership.note(reader, keepsUp: true)
        let isOther = readership.resign(another)
        let isReader = readership.resign(reader)
        #expect(!isOther && isReader)
        #expect(readership.allows(another, toTake: 1000, areLookedFor: true))
    }
}
