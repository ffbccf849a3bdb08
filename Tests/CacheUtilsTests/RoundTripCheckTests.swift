import CacheUtils
import Foundation
import Logging
import TestSupport
import Testing

private struct Reading: Codable, Sendable, Equatable {
    var number: Double
    var small: Float
    var all: [Double]
    var named: [String: Double]
    var maybe: Double?
    var text: String
}

private struct Box<Value: Codable & Sendable>: Codable, Sendable {
    var value: Value
}

private struct EquatableBox<Value: Codable & Sendable & Equatable>: Codable, Sendable, Equatable {
    var value: Value
}

private class Animal: Codable, @unchecked Sendable {
    // @unchecked: it is never changed.
    var name = "animal"
}

private final class Dog: Animal, @unchecked Sendable {}

@Suite("What comes back is what was loaded")
struct RoundTripCheckTests {
    private let statistics = CacheStatistics()
    private let log = MemoryLog()

    private func makeCache(checks: Bool = true) -> Cache {
        let log = log
        log.logLevel = .info
        let clock = ManualClock()
        return Cache(
            store: InMemoryStore(clock: clock), namespace: "shop", clock: clock, observer: statistics,
            logger: Logger(label: "test") { _ in log }, checksCodecs: checks)
    }

    @Test(
        "numbers that are not finite are kept, as they are", arguments: [Double.nan, .infinity, -.infinity, -0.0, 0.1])
    func nonFinite(number: Double) async throws {
        let cache = makeCache()
        let reading = Reading(
            number: number, small: Float(number), all: [number, 1], named: ["a": number], maybe: number, text: "nan")
        let value = cache.cached("value", ttl: .seconds(60)) { reading }
        let list = cache.cached("list", ttl: .seconds(60)) { [number] }
        for _ in 1...2 {
            #expect(String(describing: try await value()) == String(describing: reading))
            #expect(String(describing: try await list()) == String(describing: [number]))
            await cache.drain()
        }
        #expect(statistics.snapshot.loads == 2)
        #expect(statistics.snapshot.notCached == 0)
        #expect(log.lines(.info).isEmpty)
    }

    private func lines<Value: Codable & Sendable>(for values: [Value]) async throws -> [String] {
        let cache = makeCache()
        let value = cache.cached("value", ttl: .seconds(60)) { (number: Int) in values[number % values.count] }
        for number in 0..<max(values.count, 4) { _ = try await value(number) }
        await cache.drain()
        return log.lines(.info)
    }

    @Test("what does not is told, once for a function")
    func told() async throws {
        #expect(try await lines(for: [EquatableBox<Int??>(value: .some(nil))]).count == 1)
        #expect(log.lines(.info)[0].contains("lossyCodec"))
    }

    @Test("also where it cannot be compared")
    func notEquatable() async throws { #expect(try await lines(for: [Box<Int??>(value: .some(nil))]).count == 1) }

    @Test("also a relative URL")
    func relativeURL() async throws {
        let url = try #require(URL(string: "page", relativeTo: URL(string: "http://localhost/")))
        #expect(try await lines(for: [EquatableBox(value: url)]).count == 1)
    }

    @Test("also an instance of a subclass")
    func subclass() async throws { #expect(try await lines(for: [Animal(), Dog()]).count == 1) }

    @Test("and what does is not: sets, dictionaries, optionals, NaN")
    func survives() async throws {
        #expect(try await lines(for: [EquatableBox(value: Set(0..<100))]).isEmpty)
        #expect(try await lines(for: [Box(value: Set((0..<100).map { "\($0)" }))]).isEmpty)
        #expect(try await lines(for: [Box(value: ["a": 1, "b": 2, "c": 3, "d": 4])]).isEmpty)
        #expect(try await lines(for: [EquatableBox<Double>(value: .nan), EquatableBox(value: 1)]).isEmpty)
        #expect(try await lines(for: [Box<Int?>(value: nil), Box(value: 1)]).isEmpty)
        #expect(try await lines(for: [Animal()]).isEmpty)
        #expect(try await lines(for: [Date(timeIntervalSinceReferenceDate: 785_532_374.123_456_7)]).isEmpty)
    }

    @Test("and nothing is compared where the check is off")
    func off() async throws {
        let cache = makeCache(checks: false)
        let value = cache.cached("value", ttl: .seconds(60)) { EquatableBox<Int??>(value: .some(nil)) }
        _ = try await value()
        await cache.drain()
        #expect(log.lines(.info).isEmpty)
        #expect(Cache.isDebugBuild == _isDebugAssertConfiguration())
    }
}
