import Foundation

/// A file of symbols as `swift symbolgraph-extract` writes it.
private struct SymbolGraph: Decodable {
    struct Symbol: Decodable {
        struct Identifier: Decodable {
            var precise: String
        }

        struct Fragment: Decodable {
            var spelling: String
        }

        struct Location: Decodable {
            var uri: String
        }

        var identifier: Identifier
        var pathComponents: [String]
        var declarationFragments: [Fragment]
        /// `nil` for what the compiler has made.
        var location: Location?
    }

    var symbols: [Symbol]
}

/// Lists what modules declare in public, a line for each declaration, in the order of their names.
@main
private enum PublicSurface {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard let folder = arguments.first, arguments.count > 1 else {
            throw CocoaError(.fileReadUnknown, userInfo: ["": "usage: public-surface FOLDER MODULE…"])
        }
        for module in arguments.dropFirst() {
            print("# \(module)\n")
            for line in try lines(of: module, in: URL(fileURLWithPath: folder)) { print(line) }
            print("")
        }
    }

    private static func lines(of module: String, in folder: URL) throws -> [String] {
        // What it adds to other modules' types has files of its own, named after those.
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil).filter {
            $0.lastPathComponent == "\(module).symbols.json" || $0.lastPathComponent.hasPrefix("\(module)@")
        }
        var lines: Set<String> = []
        for file in files {
            let graph = try JSONDecoder().decode(SymbolGraph.self, from: Data(contentsOf: file))
            for symbol in graph.symbols
            where symbol.location != nil && !symbol.identifier.precise.contains("SYNTHESIZED") {
                let owner = symbol.pathComponents.dropLast().joined(separator: ".")
                let declaration = symbol.declarationFragments.map(\.spelling).joined()
                    .split(whereSeparator: \.isWhitespace).joined(separator: " ")
                lines.insert(owner.isEmpty ? declaration : "\(owner): \(declaration)")
            }
        }
        return lines.sorted()
    }
}
