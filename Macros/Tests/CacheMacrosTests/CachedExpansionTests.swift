import CacheMacrosPlugin
import SwiftSyntaxMacroExpansion
import SwiftSyntaxMacrosGenericTestSupport
import Testing

@Suite("The expansion of @Cached")
struct CachedExpansionTests {
    private func expect(
        _ source: String, expandsTo expanded: String, diagnostics: [DiagnosticSpec] = [], fixed: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        assertMacroExpansion(
            source, expandedSource: expanded, diagnostics: diagnostics,
            macroSpecs: ["Cached": MacroSpec(type: CachedMacro.self)], fixedSource: fixed,
            failureHandler: { Issue.record("\($0.message)", sourceLocation: sourceLocation) })
    }

    @Test("of a method reads like what one would write by hand")
    func method() {
        expect(
            """
            struct Cities {
                @Cached(ttl: .seconds(60), groups: ["cities", "country:{country}"], staleFor: .zero)
                public func city(_ slug: String, in country: String = "fr") async throws -> City {
                    try await database.city(slug, country)
                }
            }
            """,
            expandsTo: """
                struct Cities {
                    public func city(_ slug: String, in country: String = "fr") async throws -> City {
                        try await database.city(slug, country)
                    }

                    public func cityCached(_ slug: String, in country: String = "fr") async throws -> City {
                        try await cityCache(slug, country)
                    }

                    public var cityCache: CachedFunction<String, String, City> {
                        cache.cached("Cities.city", ttl: .seconds(60), groups: ["cities"], staleFor: .zero) { [self] (slug: String, country: String) in
                            try await city(slug, in: country)
                        }
                        .grouped { slug, country in
                            ["country:\\(country)"]
                        }
                    }
                }
                """)
    }

    @Test("of a static function stores its handle, but in an extension")
    func staticFunction() {
        expect(
            """
            enum Prices {
                @available(macOS 15, *)
                @Cached("price", in: shared, ttl: .seconds(60))
                static func price(item: Int) -> Int { 1 }
            }
            extension Outer.Prices {
                @Cached("size", ttl: .seconds(60), hasHandle: false)
                static func size() throws -> Int { 1 }
                @Cached
                func size(size: Int) -> Cached<Int> { Cached(size) }
            }
            """,
            expandsTo: """
                enum Prices {
                    @available(macOS 15, *)
                    static func price(item: Int) -> Int { 1 }

                    @available(macOS 15, *)
                    static func priceCached(item: Int) async throws -> Int {
                        try await priceCache(item)
                    }

                    @available(macOS 15, *)
                    static let priceCache: CachedFunction<Int, Int> = shared.cached("price", ttl: .seconds(60)) { (item: Int) in
                        price(item: item)
                    }
                }
                extension Outer.Prices {
                    static func size() throws -> Int { 1 }

                    static func sizeCached() async throws -> Int {
                        try await (cache.cached("size", ttl: .seconds(60)) { () in
                            try size()
                        } as CachedFunction<Int>)()
                    }
                    func size(size: Int) -> Cached<Int> { Cached(size) }

                    func sizeCached(size: Int) async throws -> Int {
                        try await sizeCache(size)
                    }

                    var sizeCache: CachedFunction<Int, Int> {
                        cache.cached("Outer.\\(Self.self).size") { [self] (size: Int) in
                            self.size(size: size)
                        }
                    }
                }
                """)
    }

    @Test(
        "of what cannot be cached is a message at its token",
        arguments: [
            ("var x: Int { 1 }", 1, 1, "@Cached is for functions: cache the result of one that makes this value"),
            (
                "func f<T>(_ x: T) -> Int { 1 }", 2, 7,
                "the types of a generic function are not in its keys: write `cache.cached` for each type, with a name of its own"
            ),
            ("func f(x: Int) { }", 2, 6, "a function that returns nothing has no result to cache"),
            (
                "func f() -> some Collection { [1] }", 2, 13,
                "name the type that is returned: it is to be encoded and decoded"
            ),
            ("func f(x: Int...) -> Int { 1 }", 2, 14, "a variadic parameter cannot be part of a key: take an array"),
            (
                "func f(x: inout Int) -> Int { 1 }", 2, 11,
                "an inout parameter has an effect that a cached result would not have"
            ),
            (
                "func f(x: @escaping () -> Int) -> Int { 1 }", 2, 21,
                "a function cannot be part of a key: take a value that says what it does"
            ),
            ("func f(x: some Hashable) -> Int { 1 }", 2, 11, "name the type of this parameter: it is part of the key"),
            (
                "func f() -> Int where Self: P { 1 }", 2, 17,
                "a 'where' clause says something of generic types, which are not in the keys"
            ),
        ])
    func misuse(declaration: String, line: Int, column: Int, message: String) {
        expect(
            "@Cached(ttl: .seconds(60))\n" + declaration, expandsTo: declaration,
            diagnostics: [DiagnosticSpec(message: message, line: line, column: column)])
    }

    @Test("of a parameter without a name, and of a mutating function, has a fix-it")
    func fixes() {
        expect(
            "@Cached\nfunc f(_: Int) -> Int { 1 }", expandsTo: "func f(_: Int) -> Int { 1 }",
            diagnostics: [
                DiagnosticSpec(
                    message: "give this parameter a name: it is part of the key", line: 2, column: 8,
                    fixIts: [FixItSpec(message: "name it 'value'")])
            ], fixed: "@Cached\nfunc f(_ value: Int) -> Int { 1 }")
        expect(
            "@Cached\nmutating func f() -> Int { 1 }", expandsTo: "mutating func f() -> Int { 1 }",
            diagnostics: [
                DiagnosticSpec(
                    message: "a mutating function has an effect that a cached result would not have", line: 2,
                    column: 1,
                    fixIts: [FixItSpec(message: "remove 'mutating'")])
            ], fixed: "@Cached\nfunc f() -> Int { 1 }")
    }

    @Test("of a group that names no parameter says which there are, and mends it where there is one")
    func templates() {
        expect(
            "@Cached(groups: [\"country:{land}\"])\nfunc f(country: String) -> Int { 1 }",
            expandsTo: "func f(country: String) -> Int { 1 }",
            diagnostics: [
                DiagnosticSpec(
                    message: "'f' has no parameter 'land': write {country}", line: 1, column: 18,
                    fixIts: [FixItSpec(message: "write {country}")])
            ], fixed: "@Cached(groups: [\"country:{country}\"])\nfunc f(country: String) -> Int { 1 }")
        expect(
            "@Cached(groups: [\"a{x\"])\nfunc f(x: Int, y: Int) -> Int { 1 }",
            expandsTo: "func f(x: Int, y: Int) -> Int { 1 }",
            diagnostics: [
                DiagnosticSpec(
                    message: "the braces of this group are not in pairs: {name} stands for an argument", line: 1,
                    column: 18)
            ])
        expect(
            "@Cached(groups: [\"{z}\"])\nfunc f(x: Int, y: Int) -> Int { 1 }",
            expandsTo: "func f(x: Int, y: Int) -> Int { 1 }",
            diagnostics: [
                DiagnosticSpec(message: "'f' has no parameter 'z': write {x} or {y}", line: 1, column: 18)
            ])
    }

    @Test("of a group that cannot be what is meant says what to write")
    func badTemplates() {
        expect(
            "@Cached(groups: base + [\"c:{x}\"])\nfunc f(x: Int) -> Int { 1 }",
            expandsTo: "func f(x: Int) -> Int { 1 }",
            diagnostics: [
                DiagnosticSpec(
                    message: "write the groups as one array: only there stand names in braces for arguments", line: 1,
                    column: 25)
            ])
        expect(
            "@Cached(groups: [\"c:{x}\"])\nfunc f(x: Int?) -> Int { 1 }", expandsTo: "func f(x: Int?) -> Int { 1 }",
            diagnostics: [
                DiagnosticSpec(
                    message:
                        "'x' is optional, and a group that is made of it would be called Optional(…): use `grouped(by:)` of the cached function",
                    line: 1, column: 18)
            ])
    }

    @Test("in a generic type, in a protocol or without a name where there is another function says why not")
    func places() {
        expect(
            "struct Box<Item> {\n    @Cached\n    func f() -> Int { 1 }\n}",
            expandsTo: "struct Box<Item> {\n    func f() -> Int { 1 }\n}",
            diagnostics: [
                DiagnosticSpec(
                    message:
                        "Box is generic, and its types are not in the keys: write `cache.cached` with a name for each",
                    line: 2, column: 5)
            ])
        expect(
            "protocol P {\n    @Cached\n    func f() -> Int\n}", expandsTo: "protocol P {\n    func f() -> Int\n}",
            diagnostics: [
                DiagnosticSpec(
                    message: "a requirement of a protocol has no body to cache: put @Cached on what implements it",
                    line: 2,
                    column: 5)
            ])
        expect(
            "@Cached(hasHandle: false)\nfunc f() -> Int { 1 }", expandsTo: "func f() -> Int { 1 }",
            diagnostics: [
                DiagnosticSpec(
                    message: "give it a name, as in @Cached(\"fByID\", …): another function has this one's", line: 1,
                    column: 9)
            ])
    }

    @Test("of a function without self has nothing to be keyed by, and what is decided when it is compiled is a literal")
    func arguments() {
        expect(
            "@Cached(keyedBy: \\User.id)\nfunc f() -> Int { 1 }", expandsTo: "func f() -> Int { 1 }",
            diagnostics: [
                DiagnosticSpec(
                    message: "there is no self here that could be part of the key: remove 'keyedBy'", line: 1, column: 9
                )
            ])
        expect(
            "@Cached(hasHandle: flag)\nfunc f() -> Int { 1 }", expandsTo: "func f() -> Int { 1 }",
            diagnostics: [
                DiagnosticSpec(
                    message: "write 'true' or 'false': this is decided when it is compiled", line: 1, column: 20)
            ])
    }
}
