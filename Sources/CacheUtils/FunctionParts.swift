import MintCache
import Synchronization

/// What all cached functions have in common that are made of one function, one after the other: the bound on their loads, and
/// what is decoded.
final class FunctionParts: Sendable {
    private struct State {
        var options: CacheOptions?
        var values: (groups: [StoreKey], values: any Sendable)?
    }

    private let state = Mutex(State())

    /// Options, made with those that were made last.
    func options(
        _ make: (_ before: CacheOptions?) throws(CacheError) -> CacheOptions
    ) throws(CacheError) -> CacheOptions {
        try state.withLock { state throws(CacheError) in
            let options = try make(state.options)
            state.options = options
            return options
        }
    }

    /// What is kept of the values, if their groups are the same.
    func values<Values: Sendable>(in groups: [StoreKey], _ make: () -> Values) -> Values {
        state.withLock { state in
            if let known = state.values, known.groups == groups, let values = known.values as? Values { return values }
            let values = make()
            state.values = (groups, values)
            return values
        }
    }
}

/// What is kept of the values of a function.
struct FunctionValues<Value: Sendable>: Sendable {
    let decoded: DecodedFunction<Value>
    let check: RoundTripCheck?

    init(decoded: DecodedFunction<Value>, checks: Bool) {
        self.decoded = decoded
        check = checks ? RoundTripCheck() : nil
    }
}
