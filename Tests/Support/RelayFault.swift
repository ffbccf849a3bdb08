/// What a relay does to every third answer of a server.
package enum RelayFault: String, Sendable, CaseIterable {
    /// It comes after a while.
    case delayed
    /// It comes a byte at a time.
    case dripping
    /// It ends in the middle of a value, and so does the connection.
    case cut
    /// It comes twice, if it has items: what the library makes of other copies is said in Guarantees.
    case repeated
    /// Its items come in another order.
    case reordered
    /// It comes when the client has given up.
    case late
    /// A bit of a value is another one.
    case corruptValue
    /// A byte of the line that goes before a value is another one.
    case corruptLine
    /// An item bears the name of another key that was asked for.
    case otherKey
    /// An item bears the name of a key that nobody has asked for.
    case foreignKey
    /// An item says that it is as large as memory can hardly be.
    case hugeLength
    /// In its place comes an error.
    case error, clientError, serverError
    /// Requests are not read at all.
    case neverReads
}

/// One direction of a connection through a relay.
struct FaultyStream {
    /// What happens on it next.
    enum Piece {
        case bytes([UInt8])
        case pause(milliseconds: Int)
        case cut
    }

    private var answers = 0

    /// What becomes of what the server said.
    mutating func pieces(of bytes: [UInt8], _ fault: RelayFault?) -> [Piece] {
        answers += 1
        guard let fault, answers.isMultiple(of: 3) else { return [.bytes(bytes)] }
        switch fault {
        case .delayed: return [.pause(milliseconds: 100), .bytes(bytes)]
        case .late: return [.pause(milliseconds: 1300), .bytes(bytes)]
        case .dripping: return bytes.flatMap { [.bytes([$0]), .pause(milliseconds: 1)] }
        case .cut: return [.bytes(Array(bytes[..<(bytes.count / 2)])), .cut]
        case .repeated: return [.bytes(Answer(bytes)?.items.isEmpty == false ? bytes + bytes : bytes)]
        case .error: return [.bytes(Array("ERROR\r\n".utf8))]
        case .clientError: return [.bytes(Array("CLIENT_ERROR bad command line format\r\n".utf8))]
        case .serverError: return [.bytes(Array("SERVER_ERROR out of memory\r\n".utf8))]
        case .reordered, .corruptValue, .otherKey, .foreignKey, .hugeLength:
            guard var answer = Answer(bytes), !answer.items.isEmpty else { return [.bytes(bytes)] }
            answer.change(fault)
            return [.bytes(answer.bytes)]
        case .corruptLine:
            guard let answer = Answer(bytes), let item = answer.items.first else { return [.bytes(bytes)] }
            var bytes = bytes
            let place = (answers / 3) % item.line.utf8.count
            bytes[place] = Array("07 A-\t".utf8)[(answers / 3) % 6]
            return [.bytes(bytes)]
        case .neverReads: return [.bytes(bytes)]
        }
    }

    /// An answer to a get that came in one piece.
    private struct Answer {
        struct Item {
            /// `VALUE key flags length cas`.
            var words: [Substring]
            var value: [UInt8]

            var line: String { words.joined(separator: " ") }
        }

        var items: [Item] = []

        /// `nil` for anything else.
        init?(_ bytes: [UInt8]) {
            var rest = bytes[...]
            while true {
                guard let end = rest.firstIndex(of: UInt8(ascii: "\r")) else { return nil }
                let line = String(decoding: rest[..<end], as: UTF8.self)
                rest = rest[end...].dropFirst(2)
                if line == "END", rest.isEmpty { return }
                let words = line.split(separator: " ")
                guard words.count == 5, words[0] == "VALUE", let length = Int(words[3]), rest.count >= length + 2 else {
                    return nil
                }
                items.append(Item(words: words, value: Array(rest.prefix(length))))
                rest = rest.dropFirst(length + 2)
            }
        }

        var bytes: [UInt8] {
            items.flatMap { Array($0.line.utf8) + Self.lineEnd + $0.value + Self.lineEnd }
                + Array("END\r\n".utf8)
        }

        private static let lineEnd = Array("\r\n".utf8)

        mutating func change(_ fault: RelayFault) {
            let last = items.count - 1
            switch fault {
            case .reordered: items.reverse()
            case .corruptValue:
                guard !items[last].value.isEmpty else { return }
                items[last].value[items[last].value.count / 2] ^= 4
            case .otherKey: (items[0].words[1], items[last].words[1]) = (items[last].words[1], items[0].words[1])
            case .foreignKey: items[last].words[1] = "nobody:asked"
            case .hugeLength: items[last].words[3] = "1000000000"
            default: break
            }
        }
    }
}
