import SwiftParser
import SwiftSyntax
import SwiftSyntaxMacros

/// A function that is to be cached.
struct CachedDeclaration {
    struct Parameter {
        /// What the caller writes; `nil` for nothing.
        var label: String?
        /// What it is called in the function.
        var name: String
        var type: String
    }

    let name: String
    /// The same without backticks.
    let plainName: String
    /// The names of the types that it is in, and its own, as what stands between quotation marks.
    let path: String
    let parameters: [Parameter]
    let parameterClause: String
    let result: String
    /// Its access, and whether it is static.
    let modifiers: [String]
    /// Those of its attributes that its peers are to have, each with a line break.
    let attributes: String
    let throwsErrors: Bool
    let waits: Bool
    let isStaticFunction: Bool
    /// Whether it is a method of a value or an object.
    let capturesSelf: Bool
    /// Whether its handle can be stored.
    let storesHandle: Bool

    init(_ declaration: some DeclSyntaxProtocol, at node: AttributeSyntax, in context: some MacroExpansionContext)
        throws
    {
        guard let function = declaration.as(FunctionDeclSyntax.self) else {
            throw Problem(node, "@Cached is for functions: cache the result of one that makes this value")
        }
        if let generics = function.genericParameterClause {
            throw Problem(
                generics,
                "the types of a generic function are not in its keys: write `cache.cached` for each type, with a name of its own"
            )
        }
        if let mutating = function.modifiers.first(where: { $0.name.tokenKind == .keyword(.mutating) }) {
            throw Problem(
                mutating, "a mutating function has an effect that a cached result would not have",
                fix: (
                    "remove 'mutating'", Syntax(function), Syntax(Self.notMutating(function, mutating))
                ))
        }
        if let clause = function.genericWhereClause {
            throw Problem(clause, "a 'where' clause says something of generic types, which are not in the keys")
        }
        guard let returned = function.signature.returnClause?.type,
            !["Void", "()"].contains(returned.trimmedDescription)
        else { throw Problem(function.name, "a function that returns nothing has no result to cache") }
        if returned.is(SomeOrAnyTypeSyntax.self) {
            throw Problem(returned, "name the type that is returned: it is to be encoded and decoded")
        }
        if let last = returned.as(IdentifierTypeSyntax.self), last.name.text == "Cached",
            let value = last.genericArgumentClause?.arguments.first, last.genericArgumentClause?.arguments.count == 1
        {
            result = value.argument.trimmedDescription
        } else {
            result = returned.trimmedDescription
        }
        name = function.name.text
        plainName = name.replacing("`", with: "")
        parameters = try function.signature.parameterClause.parameters.map(Self.parameter)
        parameterClause = function.signature.parameterClause.trimmedDescription
        throwsErrors = function.signature.effectSpecifiers?.throwsClause != nil
        // Whoever is isolated is called from elsewhere.
        waits =
            function.signature.effectSpecifiers?.asyncSpecifier != nil || Self.isOnActor(function.attributes)
            || Self.isIsolated(function, in: context.lexicalContext)
        let types = context.lexicalContext.reversed().compactMap(Self.typeName)
        if let generic = context.lexicalContext.first(where: Self.isGeneric) {
            throw Problem(
                Syntax(node),
                "\(Self.typeName(generic) ?? "this type") is generic, and its types are not in the keys: write `cache.cached` with a name for each"
            )
        }
        var path = types
        // Of whom it is an extension cannot be seen: of a protocol, each type that conforms has keys of its own.
        if context.lexicalContext.first?.is(ExtensionDeclSyntax.self) == true, let last = path.popLast() {
            path += last.split(separator: ".").dropLast().map(String.init) + ["\\(Self.self)"]
        }
        self.path = (path + [plainName]).joined(separator: ".")
        let isStatic = function.modifiers.contains {
            [.keyword(.static), .keyword(.class)].contains($0.name.tokenKind)
        }
        let isInType = !types.isEmpty
        capturesSelf = isInType && !isStatic
        storesHandle = !isInType || isStatic && !context.lexicalContext.contains { $0.is(ExtensionDeclSyntax.self) }
        isStaticFunction = isStatic
        modifiers = function.modifiers.compactMap { modifier in
            switch modifier.name.tokenKind {
            case .keyword(.public), .keyword(.package), .keyword(.internal), .keyword(.fileprivate), .keyword(.private):
                modifier.trimmedDescription
            case .keyword(.open): "public"
            case .keyword(.static), .keyword(.class): "static"
            case .keyword(.nonisolated): modifier.trimmedDescription
            default: nil
            }
        }
        attributes = function.attributes.compactMap { element in
            guard let attribute = element.as(AttributeSyntax.self) else { return nil }
            let name = attribute.attributeName.trimmedDescription
            return name == "available" || name.hasSuffix("Actor") ? attribute.trimmedDescription + "\n" : nil
        }.joined()
        if isInType, !isStatic, capturesSelf, context.lexicalContext.first?.is(ProtocolDeclSyntax.self) == true {
            throw Problem(node, "a requirement of a protocol has no body to cache: put @Cached on what implements it")
        }
    }

    private static func notMutating(
        _ function: FunctionDeclSyntax, _ mutating: DeclModifierSyntax
    ) -> FunctionDeclSyntax {
        var function = function
        function.modifiers = function.modifiers.filter { $0 != mutating }
        if function.modifiers.isEmpty { function.funcKeyword.leadingTrivia = mutating.leadingTrivia }
        return function
    }

    private static func parameter(_ parameter: FunctionParameterSyntax) throws -> Parameter {
        let name = parameter.secondName ?? parameter.firstName
        if let ellipsis = parameter.ellipsis {
            throw Problem(ellipsis, "a variadic parameter cannot be part of a key: take an array")
        }
        if name.tokenKind == .wildcard {
            throw Problem(
                name, "give this parameter a name: it is part of the key",
                fix: (
                    "name it 'value'", Syntax(name),
                    Syntax(name.with(\.tokenKind, .identifier(parameter.secondName == nil ? "_ value" : "value")))
                ))
        }
        var type = parameter.type
        if let attributed = type.as(AttributedTypeSyntax.self) {
            for specifier in attributed.specifiers {
                guard let specifier = specifier.as(SimpleTypeSpecifierSyntax.self) else { continue }
                guard specifier.specifier.tokenKind != .keyword(.inout) else {
                    throw Problem(
                        specifier.specifier, "an inout parameter has an effect that a cached result would not have")
                }
            }
            type = attributed.baseType
        }
        if type.is(FunctionTypeSyntax.self) {
            throw Problem(type, "a function cannot be part of a key: take a value that says what it does")
        }
        if type.is(SomeOrAnyTypeSyntax.self) {
            throw Problem(type, "name the type of this parameter: it is part of the key")
        }
        let label = parameter.firstName.tokenKind == .wildcard ? nil : parameter.firstName.text
        // A keyword can be what the parameter is called, but is not used as such.
        let used = name.text.isValidSwiftIdentifier(for: .variableName) ? name.text : "`\(name.text)`"
        return Parameter(label: label, name: used, type: type.trimmedDescription)
    }

    private static func typeName(_ syntax: Syntax) -> String? {
        if let type = syntax.as(ExtensionDeclSyntax.self) { return type.extendedType.trimmedDescription }
        if let type = syntax.asProtocol((any NamedDeclSyntax).self), syntax.isProtocol((any DeclGroupSyntax).self) {
            return type.name.text
        }
        return nil
    }

    /// Whether a function is on its actor, or on the global one of its type.
    private static func isIsolated(_ function: FunctionDeclSyntax, in types: [Syntax]) -> Bool {
        let modifiers = function.modifiers.map(\.name.tokenKind)
        if modifiers.contains(.keyword(.nonisolated)) { return false }
        if types.contains(where: { $0.is(ActorDeclSyntax.self) }) { return !modifiers.contains(.keyword(.static)) }
        return types.contains { type in
            type.asProtocol((any WithAttributesSyntax).self).map { isOnActor($0.attributes) } == true
        }
    }

    private static func isOnActor(_ attributes: AttributeListSyntax) -> Bool {
        attributes.contains { $0.as(AttributeSyntax.self)?.attributeName.trimmedDescription.hasSuffix("Actor") == true }
    }

    /// Whether a type is generic. That cannot be seen of an extension's.
    private static func isGeneric(_ syntax: Syntax) -> Bool {
        syntax.isProtocol((any DeclGroupSyntax).self)
            && syntax.asProtocol((any WithGenericParametersSyntax).self)?.genericParameterClause != nil
    }
}
