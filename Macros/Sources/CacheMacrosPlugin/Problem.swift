import SwiftDiagnostics
import SwiftSyntax

/// Why a function cannot be cached, at the token that is to be changed.
struct Problem: Error {
    var node: Syntax
    var message: String
    /// What would mend it.
    var fix: (text: String, old: Syntax, new: Syntax)?

    init(
        _ node: some SyntaxProtocol, _ message: String, fix: (text: String, old: Syntax, new: Syntax)? = nil
    ) {
        self.node = Syntax(node)
        self.message = message
        self.fix = fix
    }

    var diagnostic: Diagnostic {
        let fixIts = fix.map { fix in
            [
                FixIt(
                    message: Text(message: fix.text),
                    changes: [.replace(oldNode: fix.old, newNode: fix.new)])
            ]
        }
        return Diagnostic(node: node, message: Text(message: message), fixIts: fixIts ?? [])
    }

    private struct Text: DiagnosticMessage, FixItMessage {
        var message: String
        var severity: DiagnosticSeverity { .error }
        var diagnosticID: MessageID { MessageID(domain: "CacheMacros", id: message) }
        var fixItID: MessageID { diagnosticID }
    }
}
