import MintCache
import Synchronization

/// The names that were handed to `cached`, to tell when two different functions have the same one: they would get each
/// other's values.
final class FunctionRegistry: Sendable {
    /// What makes two functions of one name the same.
    struct Function: Sendable, Equatable {
        var arguments: [ObjectIdentifier]
        var value: ObjectIdentifier
        var file: String
        var line: UInt
        var column: UInt

        var position: String { "\(file):\(line):\(column)" }
    }

    /// Names that are made from data could be any number. What comes after so many is not looked at.
    private static let most = 10_000

    private struct Model {
        var function: Function
        var terms: FunctionTerms
        var made: any Sendable
    }

    private let functions = Mutex<[String: [Function]]>([:])
    /// The last cached function of each name, without what it calls.
    private let models = Mutex<[String: Model]>([:])

    private let parts = Mutex<[String: (function: Function, parts: FunctionParts)]>([:])

    /// What the function has in common with those that were made of it before.
    func parts(of function: Function, named name: String) -> FunctionParts {
        parts.withLock { all in
            if let known = all[name], known.function == function { return known.parts }
            let parts = FunctionParts()
            if all[name] != nil || all.count < Self.most { all[name] = (function, parts) }
            return parts
        }
    }

    /// What was made of the same function with the same terms before.
    func model(of function: Function, named name: String, _ terms: FunctionTerms) -> (any Sendable)? {
        models.withLock { models in
            guard let model = models[name], model.function == function, model.terms == terms else { return nil }
            return model.made
        }
    }

    func keep(_ made: any Sendable, modelOf function: Function, named name: String, _ terms: FunctionTerms) {
        models.withLock { models in
            guard models[name] != nil || models.count < Self.most else { return }
            models[name] = Model(function: function, terms: terms, made: made)
        }
    }

    /// Enters a function, and says what is wrong if another one has its name. Of the same function that is said once.
    func enter(_ function: Function, named name: String) -> CacheError? {
        functions.withLock { functions in
            let others = functions[name] ?? []
            guard !others.contains(function), functions.count < Self.most, others.count < 16 else { return nil }
            functions[name, default: []].append(function)
            guard let other = others.first else { return nil }
            let differsInType = other.arguments != function.arguments || other.value != function.value
            return CacheError(
                .duplicateFunction,
                "the cached functions at \(other.position) and at \(function.position) are both named '\(name)'"
                    + (differsInType ? ", and their types differ" : "")
                    + ": they get each other's values, so give each a name of its own")
        }
    }
}
