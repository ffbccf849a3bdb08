import SwiftDiagnostics
public import SwiftSyntax
import SwiftSyntaxBuilder
public import SwiftSyntaxMacros

/// `@Cached`: makes a cached function and a method that calls it, beside a function.
public struct CachedMacro: PeerMacro {
    /// The peers of a function; none, and a diagnostic, for what cannot be cached.
    public static func expansion(
        of node: AttributeSyntax, providingPeersOf declaration: some DeclSyntaxProtocol,
        in context: some MacroExpansionContext
    ) throws -> [DeclSyntax] {
        do {
            let function = try CachedDeclaration(declaration, at: node, in: context)
            let arguments = try CachedArguments(node, of: function)
            return Expansion(function: function, arguments: arguments).declarations
        } catch let problem as Problem {
            context.diagnose(problem.diagnostic)
            return []
        }
    }
}

/// What the macro makes.
private struct Expansion {
    let function: CachedDeclaration
    let arguments: CachedArguments

    var declarations: [DeclSyntax] { arguments.hasHandle ? [method, handle] : [methodAlone] }

    private var access: String { function.modifiers.map { $0 + " " }.joined() }

    private var handleName: String { function.plainName + "Cache" }

    private var types: String { (function.parameters.map(\.type) + [function.result]).joined(separator: ", ") }

    private var names: String { function.parameters.map(\.name).joined(separator: ", ") }

    private var signature: String {
        "\(function.attributes)\(access)func \(function.plainName)Cached\(function.parameterClause) async throws -> \(function.result)"
    }

    private var method: DeclSyntax {
        let text = """
            \(signature) {
                try await \(handleName)(\(names))
            }
            """
        return "\(raw: text)"
    }

    private var methodAlone: DeclSyntax {
        let text = """
            \(signature) {
                try await (\(indented(cached)) as CachedFunction<\(types)>)(\(names))
            }
            """
        return "\(raw: text)"
    }

    private var handle: DeclSyntax {
        let type = "\(handleName): CachedFunction<\(types)>"
        if function.storesHandle { return "\(raw: "\(function.attributes)\(access)let \(type) = \(cached)")" }
        let text = """
            \(function.attributes)\(access)var \(type) {
                \(indented(cached))
            }
            """
        return "\(raw: text)"
    }

    private func indented(_ text: String) -> String { text.replacing("\n", with: "\n    ") }

    private var cache: String {
        let isHidden = function.capturesSelf && function.parameters.contains { $0.name == "cache" }
        return arguments.cache ?? (isHidden ? "self.cache" : "cache")
    }

    /// The cached function, as one would write it by hand.
    private var cached: String {
        let parameters = function.parameters.map { "\($0.name): \($0.type)" }.joined(separator: ", ")
        let call = function.parameters.map { $0.label.map { "\($0): " } ?? "" + "" }
        let passed = zip(call, function.parameters).map { $0 + $1.name }.joined(separator: ", ")
        let captures = function.capturesSelf ? "[self] " : ""
        let effects = (function.throwsErrors ? "try " : "") + (function.waits ? "await " : "")
        // A parameter may have the name of the function.
        let receiver =
            !function.parameters.contains { $0.name == function.plainName }
            ? "" : function.capturesSelf ? "self." : function.isStaticFunction ? "Self." : ""
        var text = """
            \(cache).cached(\(([arguments.name] + arguments.passedOn).joined(separator: ", "))) { \
            \(captures)(\(parameters)) in
                \(effects)\(receiver)\(function.name)(\(passed))
            }
            """
        if !arguments.templates.isEmpty {
            text += """

                .grouped { \(names) in
                    [\(arguments.templates.joined(separator: ", "))]
                }
                """
        }
        if let keyPath = arguments.keyPath { text += "\n.keyed(by: self[keyPath: \(keyPath)])" }
        return text
    }
}
