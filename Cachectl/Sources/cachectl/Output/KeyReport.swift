import Foundation
@_spi(Operators) import MintCache

/// What stands under a key, in words and as JSON.
struct KeyReport: Encodable {
    struct Group: Encodable {
        var key: String?
        var generation: String
        /// `current`, `expired`, `invalidated`, or `unknown` where no group with such a stamp was found.
        var state: String
    }

    struct Claim: Encodable {
        var token: String
        var secondsLeft: Double
    }

    var key: String
    /// `value`, `pending`, `mark`, `generation`, `later`, `foreign` or `missing`.
    var kind: String
    /// What a call would come to, and why.
    var verdict: String
    var bytes = 0
    var ageSeconds: Double?
    var freshForSeconds: Double?
    var loadSeconds: Double?
    var isExpired: Bool?
    var isSettling: Bool?
    var serverList: UInt32?
    var claim: Claim?
    var groups: [Group]?
    var formatTag: String?
    var value: String?

    init(missing key: String) {
        (self.key, kind) = (key, "missing")
        verdict = "a miss: nothing is cached"
    }

    init(key: StoreKey, _ report: EnvelopeReport, size: Int, at now: WallTime) {
        self.key = key.description
        bytes = size
        switch report.content {
        case .value(let value):
            kind = "value"
            verdict = Self.verdict(of: value, at: now)
            ageSeconds = (now - value.createdAt).seconds
            freshForSeconds = (value.freshUntil - now).seconds
            loadSeconds = value.loadDuration.seconds
            (isExpired, isSettling) = (value.isExpired, value.isSettling)
            if value.list != 0 { serverList = value.list }
            claim = value.claim.map { Claim($0, at: now) }
            formatTag = String(value.tag, radix: 16)
            self.value = Self.text(of: value.payload)
        case .pending(let lease, _):
            kind = "pending"
            claim = Claim(lease, at: now)
            verdict =
                lease.until > now
                ? "a miss: someone is loading it, and calls wait for that" : "a miss: whoever loaded it has gone"
        case .mark(let until):
            kind = "mark"
            verdict = "a miss: it was invalidated" + (until > now ? ", and what is loaded is settling" : "")
        case .generation(_, let expiredAt, let settlingUntil):
            kind = "generation"
            verdict = "the generation of a group"
            if let expiredAt { verdict += ", expired \(Words.duration((now - expiredAt).seconds)) ago" }
            if let settlingUntil, settlingUntil > now { verdict += ", and what is loaded is settling" }
        case .later:
            kind = "later"
            verdict = "a miss: it is of a later release of the cache"
        case .foreign:
            kind = "foreign"
            verdict = "a miss: it is damaged, or another program's"
        }
    }

    private static func verdict(of value: EnvelopeReport.Value, at now: WallTime) -> String {
        let left = (value.freshUntil - now).seconds
        if value.isSettling, left <= 0 || value.isExpired {
            return "a miss: it was loaded in the window of an invalidation, which is over"
        }
        if let staleFor = value.staleFor, -left >= staleFor.seconds {
            return "a miss: stale for \(Words.duration(-left)), longer than its load allows"
        }
        if value.isExpired { return "stale: it was expired, and is served while someone refreshes it" }
        if left > 0 { return "a hit, fresh for \(Words.duration(left))" }
        return "stale for \(Words.duration(-left)): served as long as staleFor allows, while someone refreshes it"
    }

    /// Compares the stamps of a value with what stands under its groups.
    mutating func compare(_ value: EnvelopeReport.Value, with current: [StoreKey: EnvelopeReport.Stamp]) {
        var groups: [Group] = []
        var used: Set<StoreKey> = Set(value.ownGroups.map(\.key))
        for stamp in value.stamps {
            let key = current.keys.filter { !used.contains($0) && stamp.mayBe(of: $0) }
                .min { current[$0] == stamp && current[$1] != stamp }
            if let key { used.insert(key) }
            groups.append(Group(key, stamp, current: key.flatMap { current[$0] }))
        }
        for own in value.ownGroups { groups.append(Group(own.key, own.stamp, current: current[own.key])) }
        guard !groups.isEmpty else { return }
        self.groups = groups
        if let group = groups.first(where: { $0.state == "invalidated" }) {
            verdict = "a miss: its group \(group.key ?? "") was invalidated, or its stamp was lost"
        } else if let group = groups.first(where: { $0.state == "unknown" }) {
            verdict += ", if the group with the generation \(group.generation) stands, which was not found"
        } else if let group = groups.first(where: { $0.state == "expired" }), !verdict.hasPrefix("a miss") {
            verdict =
                value.isSettling
                ? "a miss: it is settling, and its group \(group.key ?? "") was expired"
                : "stale: its group \(group.key ?? "") was expired"
        }
    }

    /// The payload, where it is text.
    private static func text(of payload: ArraySlice<UInt8>) -> String {
        let most = 2000
        let head = payload.prefix(most)
        // A character may have been cut in two.
        for cut in 0..<4 where cut <= head.count {
            if let text = String(validating: head.dropLast(cut), as: UTF8.self),
                text.unicodeScalars.allSatisfy({ $0.value >= 0x20 || $0 == "\n" || $0 == "\t" })
            {
                return payload.count > most ? text + "…" : text
            }
        }
        let bytes = payload.prefix(64).map { String(format: "%02x", $0) }.joined(separator: " ")
        return payload.count > 64 ? bytes + " …" : bytes
    }

    var words: String {
        var table = Table(["what", kind])
        func add(_ name: String, _ text: String?) {
            if let text { table.append([name, text]) }
        }
        add("age", ageSeconds.map(Words.duration))
        add("load", loadSeconds.map { "took \(Words.duration($0))" })
        add("fresh", freshForSeconds.map { $0 > 0 ? "for \(Words.duration($0))" : "until \(Words.duration(-$0)) ago" })
        if isSettling == true { add("settling", "loaded in the window of an invalidation, never served stale") }
        add("servers", serverList.map { "list \($0)" })
        add(
            kind == "pending" ? "lease" : "claim",
            claim.map {
                $0.secondsLeft > 0 ? "\($0.token), \(Words.duration($0.secondsLeft)) left" : "\($0.token), over"
            })
        for group in groups ?? [] { add("group", "\(group.key ?? "?") \(group.generation): \(group.state)") }
        add("format", formatTag)
        add("size", Words.bytes(bytes))
        add("value", value)
        return "\(key)\n\(verdict)\n\n\(table.render())"
    }
}

extension KeyReport.Group {
    init(_ key: StoreKey?, _ stamp: EnvelopeReport.Stamp, current: EnvelopeReport.Stamp?) {
        self.key = key?.description
        generation = String(stamp.generation, radix: 16)
        state =
            switch current {
            case nil: "unknown"
            case let current? where stamp.isInvalid(under: current): "invalidated"
            case let current? where stamp.isExpired(under: current): "expired"
            default: "current"
            }
    }
}

extension KeyReport.Claim {
    init(_ claim: EnvelopeReport.Claim, at now: WallTime) {
        token = String(claim.token, radix: 16)
        secondsLeft = claim.until.microseconds == 0 ? 0 : (claim.until - now).seconds
    }
}

extension Duration {
    /// In seconds.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
