import MintCache
import Synchronization

/// Tells, once, that the values of a function do not come back from their codec as they were: then the second call gets
/// something else than the first.
final class RoundTripCheck: Sendable {
    private let isTold = Atomic(false)

    /// What is wrong with the bytes of a value, if anything is and it has not been told yet.
    func flaw<Value>(in bytes: ArraySlice<UInt8>, of value: Value, _ codec: any CacheCodec<Value>) -> CacheError? {
        guard !isTold.load(ordering: .relaxed), let (what, cause) = difference(in: bytes, of: value, codec),
            !isTold.exchange(true, ordering: .relaxed)
        else { return nil }
        return CacheError(
            .lossyCodec,
            "a \(Value.self) encoded as \(codec.format) \(what): give the function a codec that keeps all of it, or make "
                + "its Codable conformance do so",
            underlying: cause)
    }

    private func difference<Value>(
        in bytes: ArraySlice<UInt8>, of value: Value, _ codec: any CacheCodec<Value>
    ) -> (what: String, cause: (any Error)?)? {
        let decoded: Value
        do { decoded = try codec.decode(bytes) } catch { return ("cannot be decoded again", error) }
        let (before, after) = (type(of: value as Any), type(of: decoded as Any))
        guard before == after else { return ("is decoded as a \(after), and it is a \(before)", nil) }
        if let equatable = value as? any Equatable, let again = try? codec.decode(bytes),
            equatable.compares(decoded, again)
        {
            return equatable.isSame(as: decoded) ? nil : ("is decoded as another value", nil)
        }
        // By what it encodes to and how it is described, in whatever order: that of sets and dictionaries is not always
        // the same.
        guard let again = try? codec.encode(decoded) else { return nil }
        let isSame =
            again.sorted() == bytes.sorted()
            && String(reflecting: value).utf8.sorted() == String(reflecting: decoded).utf8.sorted()
        return isSame ? nil : ("is decoded as another value", nil)
    }
}

extension Equatable {
    /// Whether two equal things are equal, which those that hold a NaN are not.
    fileprivate func compares(_ one: Any, _ other: Any) -> Bool { one as? Self == other as? Self }

    fileprivate func isSame(as other: Any) -> Bool { self == other as? Self }
}
