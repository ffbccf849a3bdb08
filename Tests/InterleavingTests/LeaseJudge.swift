@testable import MintCache

/// Watches the leases of all processes, for I3: nobody takes one over that runs, unless it is of an old generation, or
/// of a load of the same process that has ended.
///
/// It knows of loads only what the store sees of them, which is one operation after the other.
final class LeaseJudge: @unchecked Sendable {
    // @unchecked: all of it happens on one thread.
    private struct Lease {
        var process: Int
        /// The lease or its fill was refused, or it was filled or given back: the load is over, whatever stands there.
        var hasEnded = false
        var fills = 0
    }

    private var leases: [LoadToken: Lease] = [:]

    /// A write is about to be made.
    func begin(_ envelope: Envelope?, by process: Int) {
        switch envelope {
        case .value(let record) where record.isFill:
            leases[record.identity]?.fills += 1
        case .some(let envelope):
            guard let lease = envelope.lease, leases[lease.token] == nil, lease.until.microseconds > 0 else { return }
            leases[lease.token] = Lease(process: process)
        case nil: break
        }
    }

    /// A write has been made.
    func end(_ envelope: Envelope?) {
        switch envelope {
        case .value(let record) where record.isFill:
            leases[record.identity]?.fills -= 1
            leases[record.identity]?.hasEnded = true
        case .pending(let lease, _) where lease.until == .never:
            leases[lease.token]?.hasEnded = true
        default: break
        }
    }

    /// A write has failed: the load that it was for is over.
    ///
    /// - Parameter old: what stands there.
    func fail(_ envelope: Envelope?, over old: Envelope?, by process: Int) {
        // The pause after a failure does not say whose load has failed.
        if envelope?.isPaused == true, let lease = old?.lease, leases[lease.token]?.process == process {
            leases[lease.token]?.hasEnded = true
        }
        switch envelope {
        case .value(let record): leases[record.claim?.token ?? record.identity]?.hasEnded = true
        case .mark, .later: break
        case .pending(let lease, _): leases[lease.token]?.hasEnded = true
        case nil: break
        }
    }

    /// A read has failed that was for some load of a process.
    func failRead(by process: Int) {
        for (token, lease) in leases where lease.process == process { leases[token]?.hasEnded = true }
    }

    /// One item takes the place of another.
    func check(
        _ old: [UInt8], _ new: [UInt8], of key: StoreKey, by process: Int, at now: WallTime, _ stamps: [GroupStamp?],
        _ stage: Stage, _ isOutdated: (Envelope) -> Bool
    ) {
        guard let old = EnvelopeCoding.envelope(in: old[...], for: key), let lease = old.lease, lease.until > now,
            let new = EnvelopeCoding.envelope(in: new[...], for: key), let taken = new.lease, taken.until > now
        else { return }
        // The pause after a failure is no lease: it ends one, and nobody waits for it.
        if old.isPaused || new.isPaused { return }
        if taken.token == lease.token {
            if taken.until > lease.until, let fills = leases[lease.token]?.fills, fills > 0 {
                stage.violations.append("the lease on \(key) is prolonged while it is filled")
            }
            return
        }
        guard old.generations == new.generations || old.generations == stamps.map(\.?.hard), !isOutdated(old) else {
            return
        }
        if let known = leases[lease.token], known.hasEnded, known.process == process { return }
        stage.violations.append("I3: the lease on \(key) is taken over while it runs")
    }
}

extension Envelope {
    fileprivate var isPaused: Bool {
        if case .value(let record) = self { record.claim?.token == record.identity } else { false }
    }

    /// The hard halves of the stamps.
    fileprivate var generations: [UInt64?] {
        switch self {
        case .pending(_, let stamps): stamps.map(\.hard)
        case .value(let record): record.stamps.map(\.hard)
        case .mark, .later: []
        }
    }
}

extension CachedRecord {
    /// Whether it ends a load: what it claims is nothing, or over.
    fileprivate var isFill: Bool { claim.map { $0.until == .never || $0.token == identity } ?? true }
}
