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
        // Decoded once more, to see what tells two equal values apart: a NaN by `==`, an object by its description.
        guard let twin = try? codec.decode(bytes) else { return ("cannot always be decoded again", nil) }
        if let equatable = decoded as? any Equatable, equatable.isSame(as: twin) {
            return equatable.isSame(as: value) ? nil : ("is decoded as another value", nil)
        }
        // In whatever order: that of sets and dictionaries is not always the same.
        let isSame =
            (try? codec.encode(decoded)).map { $0.sorted() == bytes.sorted() } ?? true
            && (description(decoded) != description(twin) || description(decoded) == description(value))
        return isSame ? nil : ("is decoded as another value", nil)
    }

    private func description(_ value: Any) -> [UInt8] { String(reflecting: value).utf8.sorted() }
}

extension Equatable {
    fileprivate func isSame(as other: Any) -> Bool { self == other as? Self }
}
