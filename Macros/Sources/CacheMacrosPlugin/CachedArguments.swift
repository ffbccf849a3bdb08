import SwiftParser
import SwiftSyntax
import SwiftSyntaxBuilder

/// What `@Cached` was given.
struct CachedArguments {
    private(set) var name: String
    private(set) var cache: String?
    private(set) var keyPath: String?
    private(set) var hasHandle = true
    /// What `cached` is given besides the name.
    private(set) var passedOn: [String] = []
    /// The groups that depend on the arguments.
    private(set) var templates: [String] = []

    init(_ node: AttributeSyntax, of function: CachedDeclaration) throws {
        name = "\"\(function.path)\""
        guard case .argumentList(let arguments)? = node.arguments else { return }
        for argument in arguments {
            let text = argument.expression.trimmedDescription
            switch argument.label?.text {
            case nil: name = text
            case "in": cache = text
            case "keyedBy":
                guard function.capturesSelf else {
                    throw Problem(argument, "there is no self here that could be part of the key: remove 'keyedBy'")
                }
                keyPath = text
            case "hasHandle":
                guard let literal = argument.expression.as(BooleanLiteralExprSyntax.self) else {
                    throw Problem(argument.expression, "write 'true' or 'false': this is decided when it is compiled")
                }
                hasHandle = literal.literal.tokenKind == .keyword(.true)
                guard hasHandle || arguments.first?.label == nil else {
                    throw Problem(
                        argument,
                        "give it a name, as in @Cached(\"\(function.plainName)ByID\", …): another function has this one's"
                    )
                }
            case "groups":
                let fixed = try groups(argument.expression, function)
                if !fixed.isEmpty { passedOn.append("groups: \(fixed)") }
            case let label?: passedOn.append("\(label): \(text)")
            }
        }
    }

    /// The groups that do not depend on the arguments, as an expression. The others are templates.
    private mutating func groups(_ expression: ExprSyntax, _ function: CachedDeclaration) throws -> String {
        guard let array = expression.as(ArrayExprSyntax.self) else {
            if let literal = BracesFinder.literal(in: expression) {
                throw Problem(literal, "write the groups as one array: only there stand names in braces for arguments")
            }
            return expression.trimmedDescription
        }
        var fixed: [String] = []
        for element in array.elements {
            if let literal = element.expression.as(StringLiteralExprSyntax.self),
                let template = try Self.template(literal, function)
            {
                templates.append(template)
            } else {
                fixed.append(element.expression.trimmedDescription)
            }
        }
        return fixed.isEmpty ? "" : "[\(fixed.joined(separator: ", "))]"
    }

    /// A literal with the arguments in place of the names in braces; `nil` when there are none.
    private static func template(
        _ literal: StringLiteralExprSyntax, _ function: CachedDeclaration
    ) throws -> String? {
        guard let text = literal.representedLiteralValue, text.contains("{") || text.contains("}") else { return nil }
        let names = function.parameters.map(\.name)
        var (result, name) = ("", String?.none)
        for character in text {
            switch (character, name) {
            case ("{", nil): name = ""
            case ("}", let found?):
                guard names.contains(found) else {
                    let known =
                        names.isEmpty ? "it has none" : "write " + names.map { "{\($0)}" }.joined(separator: " or ")
                    var fix: (text: String, old: Syntax, new: Syntax)?
                    if names.count == 1 {
                        let mended = text.replacing("{\(found)}", with: "{\(names[0])}")
                        fix = (
                            "write {\(names[0])}", Syntax(literal), Syntax(StringLiteralExprSyntax(content: mended))
                        )
                    }
                    throw Problem(literal, "'\(function.name)' has no parameter '\(found)': \(known)", fix: fix)
                }
                if let parameter = function.parameters.first(where: { $0.name == found }), parameter.type.hasSuffix("?")
                {
                    throw Problem(
                        literal,
                        "'\(found)' is optional, and a group that is made of it would be called Optional(…): use `grouped(by:)` of the cached function"
                    )
                }
                result += "\\(\(found))"
                name = nil
            case ("{", _?), ("}", nil):
                throw Problem(literal, "the braces of this group are not in pairs: {name} stands for an argument")
            case (_, let found?): name = found + String(character)
            case ("\\", nil), ("\"", nil): result += "\\\(character)"
            case (_, nil): result.append(character)
            }
        }
        guard name == nil else {
            throw Problem(literal, "the braces of this group are not in pairs: {name} stands for an argument")
        }
        return "\"\(result)\""
    }
}

/// Finds a string literal with braces in it.
private final class BracesFinder: SyntaxVisitor {
    private var found: StringLiteralExprSyntax?

    static func literal(in expression: ExprSyntax) -> StringLiteralExprSyntax? {
        let finder = BracesFinder(viewMode: .sourceAccurate)
        finder.walk(expression)
        return finder.found
    }

    override func visit(_ node: StringLiteralExprSyntax) -> SyntaxVisitorContinueKind {
        if node.representedLiteralValue?.contains("{") == true { found = node }
        return .skipChildren
    }
}
